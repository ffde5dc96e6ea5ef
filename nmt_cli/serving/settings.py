"""What a server is started with: runs, address, limits."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_cli.errors import RunError, UserError
from nmt_cli.models import config_class
from nmt_cli.recipe.paths import read_recipe_text, run_recipe_path
from nmt_cli.yaml12 import read_yaml

if TYPE_CHECKING:
    from nmt_cli.translation.opening import TranslatorSpec


DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # which browsers leave out of an origin


@dataclass(frozen=True)
class Limits:
    """What a request may ask for, and what the server keeps waiting."""

    max_bytes: int = 2 << 20
    """Bytes of a request's body; of a file, `max_file_bytes`."""
    max_file_bytes: int = 10 << 20
    max_characters: int = 100_000
    """Characters of all texts of a request; of a file, as many as its bytes hold."""
    max_sentences: int = 5_000
    """Pieces of text (up to SENTENCES_PER_JOB sentences of a line) of a request."""
    max_file_sentences: int = 50_000
    """Pieces of text of a file."""
    max_queue: int = 20_000
    """Pieces of text that wait, of all requests."""
    max_open_bytes: int = 128 << 20
    """Bytes of the bodies of all requests that are being answered."""
    max_alternatives: int = 20
    timeout: float = 60.0
    """Seconds until a request is answered."""
    file_timeout: float = 600.0
    """Seconds until a file is translated."""
    receive_timeout: float = 15.0
    """Seconds that a client may take to send its headers, or the next part of its body."""
    max_stored_bytes: int = 256 << 20
    """Bytes of all translated files that wait for their download."""
    file_lifetime: float = 3600.0
    """Seconds after which a translated file is deleted."""


@dataclass(frozen=True)
class ServedRun:
    """A run and what clients are told of it."""

    name: str
    path: Path
    source: str
    target: str
    model: str
    has_attention: bool

    def record(self) -> dict[str, Any]:
        """What clients are told."""
        fields = {"name": self.name, "source": self.source, "target": self.target}
        return {**fields, "model": self.model, "attention": self.has_attention}


@dataclass(frozen=True)
class EngineOptions:
    """What translates, as for nmt translate; None: what is the default there."""

    engine: str | None = None
    overrides: tuple[str, ...] = ()
    device: str = "auto"

    def spec(self, run: ServedRun) -> "TranslatorSpec":
        """How workers open a run."""
        from nmt_cli.translation.opening import TranslatorSpec  # it takes long to import

        spec = TranslatorSpec((str(run.path),), self.overrides, self.device, rescore_canonical=False, assess=True)
        return spec if self.engine is None else replace(spec, engine=self.engine)

    def inspection_spec(self, run: ServedRun) -> "TranslatorSpec":
        """How the inspector opens a run: in our own engine, exactly."""
        return replace(self.spec(run), engine="torch", overrides=(*self.overrides, "search.precision=fp32"))


@dataclass(frozen=True)
class ServerSettings:
    """How `nmt serve` was called."""

    runs: tuple[ServedRun, ...]
    engine: EngineOptions = EngineOptions()
    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 1
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    limits: Limits = Limits()
    public_url: str = ""
    """The address at which people reach the server through a proxy, as of `parse_public_url`; empty: as they ask."""

    @property
    def public_origin(self) -> str | None:
        """The origin of `public_url`, as browsers send it."""
        return "/".join(self.public_url.split("/")[:3]) if self.public_url else None


def describe_runs(paths: list[Path]) -> tuple[ServedRun, ...]:
    """The runs to serve, by the names of their folders; RunError for a folder that is no run."""
    runs: list[ServedRun] = []
    for path in paths:
        recipe, _ = read_yaml(read_recipe_text(run_recipe_path(path)))
        try:
            corpus, model = recipe["corpus"], recipe["model"]
            source, target = str(corpus["source"]), str(corpus["target"])
            model_type = str(model["type"])
            has_attention = config_class(model_type).model_validate(model).has_attention
        except (LookupError, TypeError, ValueError) as error:
            raise RunError(f"{path}: its recipe.yaml names no languages, or no model that nmt knows") from error
        base = path.resolve().name
        taken = {run.name for run in runs}
        name = next(n for n in (base, *(f"{base}-{number}" for number in range(2, 1000))) if n not in taken)
        runs.append(ServedRun(name, path, source, target, model_type, has_attention))
    return tuple(runs)


def host_name(host: str) -> str:
    """The name or address in a Host header, without its port and the dot at the end of a full name."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name = host.rpartition(":")[0] if host.count(":") == 1 else host
    return name.lower().removesuffix(".")


def parse_allowed_host(text: str) -> str:
    """The name in a value of --allow-host; UserError for what no request can have."""
    name = host_name(text)
    if not name or not text.isascii() or (set(text) & set("/?#@* ") and text != "*"):
        raise UserError(f"--allow-host {text}: use the name of a host alone, such as translate.example.org")
    return name


def parse_origin(text: str) -> str:
    """An origin in a value of --cors as browsers send it; UserError for what they never send."""
    if text in ("*", "null"):
        return text
    scheme, _, host = text.lower().removesuffix("/").partition("://")
    if not scheme or not host or not text.isascii() or set(host) & set("/?#@* "):
        raise UserError(f"--cors {text}: use the scheme and host of an origin, such as https://example.org")
    return f"{scheme}://{host.removesuffix(DEFAULT_PORTS.get(scheme, ''))}"


def parse_public_url(text: str) -> str:
    """A value of --public-url without a slash at its end; UserError for what is no address of a site."""
    scheme, _, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    if scheme.lower() not in DEFAULT_PORTS or not host_name(host) or not text.isascii() or set(rest) & set("?#@* "):
        raise UserError(f"--public-url {text}: use an address such as https://example.org/nmt")
    return parse_origin(f"{scheme}://{host}") + (slash + path).rstrip("/")
