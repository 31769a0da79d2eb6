"""What is wrong with a RayJob: the part of KubeRay's schema that a search needs, and its sense.

The models name the fields of KubeRay 1.7. What stands in a pod beside its containers is
Kubernetes' own and not checked; `kubectl apply --dry-run=server` asks the cluster itself.
"""

from collections.abc import Iterator
from typing import Any, Literal

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError
from pydantic.alias_generators import to_camel

from search.cluster_check.cluster_file import is_allowed
from search.problems import at, did_you_mean, models_in


class Strict(BaseModel):
    """As Kubernetes reads it: names in camelCase, none unknown, "1" is no number."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)


class Container(BaseModel):
    """A container, as far as this check needs to know."""

    name: str
    image: str


class PodSpec(BaseModel):
    """What runs in a pod."""

    containers: list[Container] = Field(min_length=1)


class Pod(BaseModel):
    """A template of pods."""

    spec: PodSpec


class Group(Strict):
    """Fields that the head and the workers share."""

    template: Pod
    ray_start_params: dict[str, str] = {}
    resources: Any = None
    labels: Any = None


class Head(Group):
    """The head of the cluster."""

    service_type: Literal["ClusterIP", "NodePort", "LoadBalancer"] | None = None
    enable_ingress: bool | None = None
    ingress_options: Any = None
    head_service: Any = None


class Workers(Group):
    """A group of workers that grows and shrinks."""

    group_name: str
    replicas: NonNegativeInt = 0
    min_replicas: NonNegativeInt
    max_replicas: NonNegativeInt
    num_of_hosts: int = 1
    idle_timeout_seconds: int | None = None
    priority: int = 0
    suspend: bool = False
    scale_strategy: Any = None


class Authentication(Strict):
    """Who may speak to the cluster."""

    mode: Literal["disabled", "token"] = "disabled"
    secret_name: str | None = None
    enable_k8s_token_auth: bool | None = Field(default=None, alias="enableK8sTokenAuth")


class Autoscaler(Strict):
    """How the cluster grows."""

    version: Literal["v1", "v2"] | None = None
    idle_timeout_seconds: int | None = None
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] | None = None
    args: Any = None
    command: Any = None
    env: Any = None
    env_from: Any = None
    image: Any = None
    image_pull_policy: Any = None
    resources: Any = None
    security_context: Any = None
    volume_mounts: Any = None


class RayCluster(Strict):
    """The cluster that the job gets."""

    ray_version: str
    head_group_spec: Head
    worker_group_specs: list[Workers] = Field(min_length=1)
    enable_in_tree_autoscaling: bool = False
    auth_options: Authentication = Authentication()
    autoscaler_options: Autoscaler = Autoscaler()
    gcs_fault_tolerance_options: Any = None
    head_service_annotations: Any = None
    history_server_options: Any = None
    managed_by: Any = None
    network_policy: Any = None
    suspend: Any = None
    tls_options: Any = None
    upgrade_strategy: Any = None


class JobSpec(Strict):
    """The job."""

    entrypoint: str = Field(min_length=1)
    ray_cluster_spec: RayCluster
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"] = (
        "K8sJobMode"
    )
    backoff_limit: NonNegativeInt = 0
    active_deadline_seconds: int | None = None
    entrypoint_num_cpus: float | None = None
    entrypoint_num_gpus: float | None = None
    entrypoint_resources: str | None = None
    job_id: str | None = None
    metadata: Any = None
    managed_by: str | None = None
    pre_running_deadline_seconds: int | None = None
    runtime_env_yaml: str | None = Field(default=None, alias="runtimeEnvYAML")
    shutdown_after_job_finishes: bool = False
    ttl_seconds_after_finished: NonNegativeInt = 0
    deletion_strategy: Any = None
    submitter_config: Any = None
    submitter_pod_template: Any = None
    suspend: bool = False


class RayJob(Strict):
    """The whole file."""

    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: dict[str, Any]
    spec: JobSpec


def problems(content: dict[str, Any], asked: Version) -> Iterator[str]:
    """All that is wrong.

    Args:
        content: the file's.
        asked: the Ray that the project asks for.
    """
    try:
        cluster = RayJob.model_validate(content).spec.ray_cluster_spec
    except ValidationError as error:
        yield from schema_problems(error)
        return
    place = "spec.rayClusterSpec"
    if not is_allowed(cluster.ray_version, asked):
        given = cluster.ray_version
        yield f"{place}.rayVersion: {given}, but pyproject.toml asks for {asked} or newer"
    if cluster.auth_options.mode != "token":
        yield f"{place}.authOptions: anybody in reach may run code; give {{mode: token}}"
    if not cluster.enable_in_tree_autoscaling:
        yield f"{place}.enableInTreeAutoscaling: no worker would ever start; give true"
    yield from head_problems(f"{place}.headGroupSpec", cluster.head_group_spec)
    for number, workers in enumerate(cluster.worker_group_specs):
        if not workers.min_replicas <= workers.replicas <= workers.max_replicas:
            yield (
                f"{place}.workerGroupSpecs.{number}: replicas {workers.replicas} is not between "
                f"minReplicas {workers.min_replicas} and maxReplicas {workers.max_replicas}"
            )


def head_problems(place: str, head: Head) -> Iterator[str]:
    """A head that could run trials, or that shows its dashboard outside the Kubernetes cluster."""
    if head.ray_start_params.get("num-cpus") != "0":
        yield f'{place}.rayStartParams: the head could run trials; add num-cpus: "0"'
    if head.service_type in ("NodePort", "LoadBalancer"):
        yield f"{place}.serviceType: {head.service_type} lets others in; leave it out"
    if head.enable_ingress:
        yield f"{place}.enableIngress: true lets others in; leave it out"


def schema_problems(error: ValidationError) -> Iterator[str]:
    """Every mistake of a validation: where it is, what was given, what would be right."""
    for found in error.errors():
        keys = [str(key) for key in found["loc"]]
        if found["type"] == "extra_forbidden":
            known = fields_of(found["loc"])
            yield at("", keys[:-1], f"unknown key '{keys[-1]}'; {did_you_mean(keys[-1], known)}")
        elif found["type"] == "missing":
            yield at("", keys, "is missing")
        else:
            yield at("", keys, f"{found['msg']}, given {found['input']!r}")


def fields_of(path: tuple[str | int, ...]) -> list[str]:
    """The fields that stand beside the last key of a path, by their names in a file."""
    model: type[BaseModel] = RayJob
    for key in path[:-1]:
        inner = [
            found
            for name, field in model.model_fields.items()
            if (field.alias or name) == key
            for found in models_in(field.annotation)
        ]
        model = inner[0] if inner else model  # a number in a list changes nothing
    return [field.alias or name for name, field in model.model_fields.items()]
