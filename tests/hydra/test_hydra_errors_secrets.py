"""Secrets are known to the model alone: no config, override, file, folder or message holds one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.utils import create_config_search_path
from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import OmegaConf
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

import exca.hydra
from exca.errors import InvalidConfig
from exca.hydra._loader import ModelLoader
from exca.hydra._secrets import Secrets
from exca.identity import identify


class Account(BaseModel):
    user: str = ""
    token: SecretStr = SecretStr("default")


class Vault(BaseModel):
    token: SecretStr | None = None
    pin: Secret[int] = Secret(0)
    raw: SecretBytes | None = None
    keys: dict[str, SecretStr] = {}
    accounts: list[Account] = []
    account: Account = Account()
    both: tuple[int, SecretStr] = (1, SecretStr("x"))
    copied: SecretStr | None = None
    seed: int = 0


EVERY = [
    "token=swordfish", "pin=4711", "raw=swordfish", "keys.a='sword fish'", "accounts=[{user: me, token: swordfish}]",
    "account={token: swordfish}", "both=[2,swordfish]",
]  # fmt: skip
SET = Vault(
    token=SecretStr("swordfish"),
    pin=Secret(4711),
    raw=SecretBytes(b"swordfish"),
    keys={"a": SecretStr("sword fish")},
    accounts=[Account(user="me", token=SecretStr("swordfish"))],
    account=Account(token=SecretStr("swordfish")),
    both=(2, SecretStr("swordfish")),
)


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelLoader:
    monkeypatch.setattr(version.VersionBase.instance(), "version_base", None)
    version.setbase("1.3")
    setup_globals()
    return ModelLoader(create_config_search_path(str(tmp_path)), Vault)


def load(loader: ModelLoader, *overrides: str, name: str = "vault", mode: RunMode = RunMode.RUN) -> Any:
    return loader.load_configuration(name, list(overrides), mode)


def test_a_composed_config_holds_none_and_its_model_all(loader: ModelLoader) -> None:
    cfg = load(loader, *EVERY)
    text = OmegaConf.to_yaml(cfg)
    assert not any(secret in text for secret in ("swordfish", "sword fish", "4711"))
    job = OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"])
    assert "sword" not in OmegaConf.to_yaml(job, resolve=True)
    made = exca.hydra.to_model(cfg, Vault)
    assert made == SET
    assert identify(made) == identify(SET)
    assert exca.hydra.compose(Vault, EVERY) == SET


def test_those_of_files_are_not_in_the_composed_config_either(loader: ModelLoader, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(
        "token: swordfish\nkeys: {a: sword fish}\naccount: {token: swordfish}\ncopied: ${token}\n"
        "hydra: {sweeper: {params: {token: 'swordfish,marlin', seed: '1,2'}}}\n"
    )
    cfg = load(loader, name="app")
    assert not any(text in OmegaConf.to_yaml(cfg) for text in ("swordfish", "sword fish", "marlin"))
    made = exca.hydra.to_model(cfg, Vault)
    assert (made.token, made.copied) == (SET.token, SET.token)
    (first, second) = cfg.hydra.sweeper.params.token.split(",")
    assert exca.hydra.to_model(load(loader, f"token={second}", name="app"), Vault).token == SecretStr("marlin")
    assert load(loader, f"token={first}", name="app").token == cfg.token


def test_references_to_secrets_stay_references(loader: ModelLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "swordfish")
    cfg = load(loader, "token=${oc.env:TOKEN}", "keys.a='Bearer ${token}'", "keys.b=swordfish", "copied='x ${keys.b}'")
    assert OmegaConf.to_container(cfg)["token"] == "${oc.env:TOKEN}"  # type: ignore[index,call-overload]
    made = exca.hydra.to_model(cfg, Vault)
    assert made.keys["a"].get_secret_value() == "Bearer swordfish"
    assert made.copied == SecretStr("x swordfish")


def test_the_points_of_a_sweep_differ_in_them(loader: ModelLoader) -> None:
    master = load(loader, "token=swordfish,marlin", "seed=1,2", mode=RunMode.MULTIRUN)
    assert "fish" not in OmegaConf.to_yaml(master)
    (texts, _) = master.hydra.overrides.task
    points = [[f"token={word}"] for word in texts.partition("=")[2].split(",")]
    models = exca.hydra.read_points(loader, master, [*points, ["token=swordfish"]], Vault)
    assert [model.token for model in models] == [SecretStr(text) for text in ("swordfish", "marlin", "swordfish")]
    assert loader.load_sweep_config(master, points[0]).hydra.job.override_dirname == points[0][0]


@pytest.mark.parametrize(
    "override",
    [
        "token=[swordfish]", "keys={a: [swordfish]}", "+token.x=swordfish", "tokn=swordfish", "pin=swordfish",
        "accounts.0.tokn=swordfish", "token=sword]fish", "accounts=[{token: {a: swordfish}}]", "both=[1,[swordfish]]",
    ],
)  # fmt: skip
def test_no_message_shows_one(override: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.compose(Vault, [override, "seed=x"])
    assert "fish" not in str(caught.value)
    assert not any("fish" in repr(problem) for problem in caught.value.problems)  # type: ignore[attr-defined]


def test_other_problems_of_a_point_do_not_show_them(loader: ModelLoader) -> None:
    master = load(loader, mode=RunMode.MULTIRUN)
    with pytest.raises(InvalidConfig) as caught:
        exca.hydra.read_points(loader, master, [["token=swordfish", "seed=x"]], Vault)
    assert "token=********** seed=x" in str(caught.value)


def test_workers_that_are_given_the_singletons_of_hydra_know_them(loader: ModelLoader) -> None:
    cfg = load(loader, "token=swordfish")
    carried = pickle.dumps(Singleton.get_state()["instances"][Secrets])
    before = Singleton._instances.pop(Secrets)
    try:
        assert exca.hydra.to_model(cfg, Vault).token != SecretStr("swordfish")
        Singleton._instances[Secrets] = pickle.loads(carried)
        assert exca.hydra.to_model(cfg, Vault).token == SecretStr("swordfish")
    finally:
        Singleton._instances[Secrets] = before


APP = """
    import exca.hydra
    from test_hydra_errors_secrets import Vault

    @exca.hydra.main(Vault)
    def main(vault):
        print("LENGTH", len(vault.token.get_secret_value()))

    if __name__ == "__main__":
        main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("words", [["token=swordfish"], ["-m", "token=swordfish,marlin", "hydra/launcher=basic"]])
def test_no_file_of_an_app_holds_one(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    path = os.pathsep.join([str(Path(exca.hydra.__file__).parents[2]), str(Path(__file__).parent)])
    env = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "app.py", *words, "hydra.run.dir=out", "hydra.sweep.dir=out"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "LENGTH 9" in done.stdout
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 3
    for text in (done.stdout, done.stderr, *(file.read_text() for file in files), *map(str, files)):
        assert "swordfish" not in text
        assert "marlin" not in text
