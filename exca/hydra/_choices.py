"""Which member every union of a composition is, and which parts of which files are meant for another.

Hydra merges what each file says about a node, so a file that says ``model: {name: transformer}`` over the
default ``conv`` would leave a transformer with the fields of a conv. Here a node belongs to one member:

* what was chosen on the command line, or by ``override`` in a defaults list, holds;
* otherwise the last file that names a member holds, and its generated defaults are put below it;
* what other files say about another member is left out as a whole.

Models that only their fields tell apart have no names: what files say replaces the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hydra._internal.defaults_list import Overrides
from hydra.core.default_element import ResultDefault
from omegaconf import DictConfig, Node

from ._schema import Path, Schema, Site, Tree
from ._text import MISSING

__all__ = ["Contribution", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Contribution:
    """One config of a composition.

    Parameters
    ----------
    default
        Its place in the defaults list.
    node
        What it says.
    generated
        Whether it is generated from the model, not written by the user.
    """

    default: ResultDefault
    node: DictConfig
    generated: bool

    @property
    def package(self) -> Path:
        """Where in the config its values go."""
        return tuple(self.default.package.split(".")) if self.default.package else ()

    def at(self, path: Path) -> DictConfig | None:
        """Return what it says about a node; None where it says nothing."""
        node = self._node(path)
        return node if isinstance(node, DictConfig) and isinstance(node._value(), dict) else None

    def is_null(self, path: Path) -> bool:
        """Whether it says that a node is None."""
        node = self._node(path)
        return node is not None and node._value() is None

    def is_unset(self, path: Path) -> bool:
        """Whether it says that a node must still be set."""
        node = self._node(path)
        return node is not None and node._value() == MISSING

    def _node(self, path: Path) -> Node | None:
        package = self.package
        if path[: len(package)] != package:
            return None
        node: Node | None = self.node
        for key in path[len(package) :]:
            if not isinstance(node, DictConfig) or not isinstance(node._value(), dict):
                return None
            below = node._get_node(key)
            node = below if isinstance(below, Node) else None
        return node


@dataclass(slots=True)
class Verdict:
    """What has to change in a composition.

    Parameters
    ----------
    texts
        The member of each union, by the path of its node.
    switched
        Options that the schema's own defaults lists must choose, by config group.
    left_out
        Paths that are meant for another member, by the config they stand in (its path and package).
    """

    texts: dict[Path, str | None] = field(default_factory=dict)
    switched: dict[str, str] = field(default_factory=dict)
    left_out: dict[tuple[str | None, str | None], list[Path]] = field(default_factory=dict)


def judge(schema: Schema, contributions: Sequence[Contribution], overrides: Overrides) -> Verdict:
    """Decide the member of every union.

    Parameters
    ----------
    schema
        The schema of the model.
    contributions
        The configs of the composition, in the order they are merged.
    overrides
        What Hydra gathered while it made the defaults list: choices, and who made them.
    """
    judge_ = _Judge(contributions, overrides)
    judge_.tree(schema.tree, ())
    return judge_.verdict


class _Judge:
    def __init__(self, contributions: Sequence[Contribution], overrides: Overrides) -> None:
        self.verdict = Verdict()
        self._contributions = contributions
        self._choices: Mapping[str, str | None] = overrides.known_choices
        self._metadata = overrides.override_metadata

    def tree(self, tree: Tree, above: Path) -> None:
        for below in tree.loose():
            self._loose((*above, *below))
        for below, site in tree.sites():
            path = (*above, *below)
            speakers = [c for c in self._contributions if not self._is_left_out(c, path)]
            said = [(c, node) for c in speakers if (node := c.at(path)) is not None]
            self._leave_out_blanks(site, path, speakers)
            if self._unset(path, speakers):
                self.verdict.texts[path] = None
            elif site.shape.kind == "union":
                self._union(site, path, said)
            elif site.shape.kind == "optional":
                self._optional(site, path, said)
            else:
                self._preset(site, path, said)

    def _loose(self, path: Path) -> None:
        """Let what files say of a model that only its fields tell apart replace the default, not merge with it."""
        said = [c for c in self._contributions if c.at(path) is not None and not self._is_left_out(c, path)]
        if any(not c.generated for c in said):
            for c in said:
                if c.generated:
                    self._leave_out(c, path)

    def _union(self, site: Site, path: Path, said: list[tuple[Contribution, DictConfig]]) -> None:
        if self._chosen_none(site, path, said):
            return
        own = [(c, node) for c, node in said if _is_option(c, site)]
        held = own if self._explicit(site) else said
        text = _last(_texts(site, held)) or _last(_texts(site, said))
        self.verdict.texts[path] = text
        option = site.of_text(text)
        if option is None or option.tree is None:
            return
        choice = self._choices.get(site.group)
        chosen = site.options.get(choice or "")
        written = choice not in (None, MISSING) and chosen is None  # an option that is a file of the user
        if not self._explicit(site) and not written and (chosen is None or chosen.text != text):
            self.verdict.switched[site.group] = option.name
        for c, node in said:
            if self._is_for_another(site, c, node, text, option.tree):
                self._leave_out(c, path)
        self.tree(option.tree, path)

    def _optional(self, site: Site, path: Path, said: list[tuple[Contribution, DictConfig]]) -> None:
        if self._chosen_none(site, path, said):
            return
        chosen = site.options.get(self._choices.get(site.group) or "")
        written = any(not c.generated for c, _ in said)
        open_ = self._choices.get(site.group) in (None, MISSING)
        if written and (open_ if chosen is None else chosen.tree is None):
            chosen = next(option for option in site.options.values() if option.tree is not None)
            self.verdict.switched[site.group] = chosen.name
        if chosen is not None and chosen.tree is not None:
            self.tree(chosen.tree, path)

    def _preset(self, site: Site, path: Path, said: list[tuple[Contribution, DictConfig]]) -> None:
        """Let a preset that was asked for hold against the ``cluster`` of a file."""
        for c, node in said:
            if self._explicit(site) and not _is_option(c, site) and not self._chose(c, site) and "cluster" in node:
                self._leave_out(c, (*path, "cluster"))

    def _chosen_none(self, site: Site, path: Path, said: list[tuple[Contribution, DictConfig]]) -> bool:
        """Whether None was asked for; then nothing that files say about the node counts."""
        chosen = site.options.get(self._choices.get(site.group) or "")
        if not self._explicit(site) or chosen is None or chosen.tree is not None:
            return False
        for c, _ in said:
            if not c.generated and not self._chose(c, site):
                self._leave_out(c, path)
        return True

    def _leave_out_blanks(self, site: Site, path: Path, speakers: Sequence[Contribution]) -> None:
        """Let an option that was asked for hold against files that say the node is None, or still to be set."""
        for c in speakers if self._explicit(site) and self._choices.get(site.group) is not None else ():
            if (c.is_null(path) or c.is_unset(path)) and not c.generated and not self._chose(c, site):
                self._leave_out(c, path)

    def _unset(self, path: Path, speakers: Sequence[Contribution]) -> bool:
        """Whether the last file that speaks of a node says it must still be set; leave out what it overrules."""
        unset: list[Contribution] = []
        for c in speakers:
            if c.is_unset(path) and not c.generated and not self._is_left_out(c, path):
                unset.append(c)
            elif not c.generated and c.at(path) is not None:
                for earlier in unset:
                    self._leave_out(earlier, path)
                unset = []
        return bool(unset)

    def _is_left_out(self, c: Contribution, path: Path) -> bool:
        below = path[len(c.package) :]
        gone = self.verdict.left_out.get((c.default.config_path, c.default.package), ())
        return any(below[: len(skipped)] == skipped for skipped in gone)

    def _is_for_another(self, site: Site, c: Contribution, node: DictConfig, text: str | None, tree: Tree) -> bool:
        declared = _last(_texts(site, [(c, node)]))
        if declared is not None:
            return declared != text
        if not self._explicit(site) or _is_option(c, site) or self._chose(c, site):
            return False
        foreign = {str(key) for key in node} - tree.entries.keys()
        return bool(foreign) and any(
            option.tree is not None and foreign <= option.tree.entries.keys() for option in site.options.values()
        )

    def _explicit(self, site: Site) -> bool:
        """Whether the option was asked for on the command line, or by ``override`` in a defaults list."""
        return site.group in self._metadata

    def _chose(self, c: Contribution, site: Site) -> bool:
        """Whether a file is the one that asked for the option."""
        return self._metadata[site.group].containing_config_path == c.default.config_path

    def _leave_out(self, c: Contribution, path: Path) -> None:
        key = (c.default.config_path, c.default.package)
        self.verdict.left_out.setdefault(key, []).append(path[len(c.package) :])


def _is_option(c: Contribution, site: Site) -> bool:
    return str(c.default.config_path).rpartition("/")[0] == site.group


def _texts(site: Site, said: Sequence[tuple[Contribution, DictConfig]]) -> Iterator[str]:
    """Yield the members that contributions name."""
    for _, node in said:
        tag = node._get_node(site.shape.discriminator)
        value = tag._value() if tag is not None and not isinstance(tag, list) else None
        text = site.shape.text_of(value)
        if value is not None and text in site.shape.members:
            yield text


def _last(texts: Iterator[str]) -> str | None:
    return next(reversed(list(texts)), None)
