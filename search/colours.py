"""The colours of all pictures: Okabe and Ito's, which all eyes can tell apart."""

BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "0.45"
