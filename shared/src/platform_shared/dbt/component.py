"""A dbt project's models without partitions as assets, in a few lines of YAML."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs
from dagster_dbt import DbtCliResource, DbtProject, DbtProjectComponent, dbt_assets

from platform_shared.dbt.building import dbt_build
from platform_shared.dbt.git_project import GitProject, GitProjectError
from platform_shared.dbt.manifest import prepare, prepare_if_stale
from platform_shared.dbt.project import dbt_cli, dbt_pool, dbt_project
from platform_shared.dbt.translator import PlatformDbtSettings, platform_spec


def _resolve_project(context: dg.ResolutionContext, model: Any) -> Path | GitProject:
    if isinstance(model, str):
        folder: Path = context.resolve_source_relative_path(context.resolve_value(model, as_type=str))
        return folder
    repository: GitProject = GitProject.resolve_from_model(context, model)
    return repository


@dataclass
class PlatformDbtProjectComponent(DbtProjectComponent):
    """Models, seeds and snapshots of a dbt project as assets, and its tests as their checks.

    Unlike the class that it extends it runs dbt in the project's own folder and not in a copy, parses nothing when it
    loads, runs one dbt at a time, and reads owner, condition and freshness from a model's `meta`.
    """

    project: Annotated[  # type: ignore[assignment]
        DbtProject | Path | GitProject,
        dg.Resolver(
            _resolve_project,
            model_field_type=str | GitProject.model(),
            description="Folder of the dbt project, or a git repository with it.",
            examples=[
                "{{ context.project_root }}/../../dbt_project",
                {"repo_url": "https://…/models.git", "ref": "v1.4.0"},
            ],
        ),
    ]
    translation_settings: Annotated[
        PlatformDbtSettings, dg.Resolver.default(description="Features of the translation into assets.")
    ] = field(default_factory=PlatformDbtSettings)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.cli_args[:1] != ["build"] or not all(isinstance(argument, str) for argument in self.cli_args):
            raise ValueError(f'cli_args is {self.cli_args!r}. Begin with "build" and give dbt\'s arguments as strings.')
        if self.include_metadata:
            raise ValueError(
                "include_metadata has no use here: columns and their lineage come without it. Leave it out."
            )

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """Where a repository is fetched to. It is fetched when it is asked for, never by a load."""
        args = DefsStateConfigArgs.local_filesystem().model_copy(update={"refresh_if_dev": False})
        project = self.project
        where = project.name_of_state if isinstance(project, GitProject) else _folder(project).name
        return DefsStateConfig.from_args(args, default_key=f"{type(self).__name__}[{where}]")

    def write_state_to_path(self, state_path: Path) -> None:
        """What `dg utils refresh-defs-state` does: fetches a repository, and prepares the manifest."""
        if isinstance(self.project, GitProject):
            checkout = _checkout(state_path)
            self.project.fetch(checkout)
            prepare(checkout / self.project.folder)
        elif isinstance(self.project, Path):
            prepare_if_stale(self.project)
        state_path.touch()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets. A project in a folder is read where it lies: looking for state would make folders at load."""
        if isinstance(self.project, GitProject):
            return super().build_defs(context)
        return self.build_defs_from_state(context, None)

    def build_defs_from_state(self, context: dg.ComponentLoadContext, state_path: Path | None) -> dg.Definitions:
        """The assets of the prepared project. Raises StaleManifestError, GitProjectError or ModelMetaError."""
        project = self._prepared(state_path)
        op = self.op

        @dbt_assets(
            name=(op and op.name) or f"{project.name}_models",
            manifest=project.manifest_path,
            project=project,
            select=self.select,
            exclude=self.exclude,
            selector=self.selector,
            dagster_dbt_translator=self.translator,
            op_tags=op.tags if op else None,
            backfill_policy=op.backfill_policy if op else None,
            pool=(op and op.pool) or dbt_pool(project.name),
        )
        def models(context: dg.AssetExecutionContext) -> Iterator[object]:
            # Not the class's own way: that looks for dbt on PATH.
            yield from self.execute(context, dbt_cli(project))

        return dg.Definitions(assets=[models])

    def execute(self, context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[object]:
        """Builds the run's models when it is dbt's turn."""
        yield from dbt_build(context, dbt, *(str(argument) for argument in self.cli_args[1:]))

    def _prepared(self, state_path: Path | None) -> DbtProject:
        if isinstance(self.project, DbtProject):
            return self.project
        if isinstance(self.project, Path):
            return dbt_project(self.project)
        if state_path is None:
            raise GitProjectError(
                f"The dbt project in {self.project.repo_url} was not fetched yet. Run `dg utils refresh-defs-state` in "
                "the location's folder, or in the build of its image."
            )
        return dbt_project(_checkout(state_path) / self.project.folder)

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """As the platform has it: groups, owners, conditions."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        return platform_spec(spec, manifest, unique_id, partitioned=False)


def _folder(project: DbtProject | Path) -> Path:
    return project if isinstance(project, Path) else project.project_dir


def _checkout(state_path: Path) -> Path:
    return state_path.parent / "project"
