"""The whole configuration, put together from each room's own settings; nothing below imports it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatepost.access.oidc import ProviderSettings
from gatepost.access.settings import AccessSettings
from gatepost.checks.connection.hello import HelloSettings
from gatepost.checks.registry import ALL_CHECKS, configure
from gatepost.checks.run import Configured
from gatepost.checks.sender.people import IMPORTED, PeopleSettings, Staff
from gatepost.config.load import ConfigError, parse_toml, read_table
from gatepost.config.overlay import NAME as OVERLAY
from gatepost.config.overlay import merged, read_overlay
from gatepost.config.place import STATE, key_file_at
from gatepost.config.problems import refuse_unusable
from gatepost.config.where import line_of
from gatepost.delivery.directory import Directory
from gatepost.delivery.routes import MaildirAt, Routes
from gatepost.delivery.settings import DeliverySettings, DomainSettings
from gatepost.delivery.signing import SigningSettings
from gatepost.jobs.heads import JournalSettings
from gatepost.jobs.ownpolicy import MtaStsSettings
from gatepost.jobs.settings import (
    REPORTS,
    AlertSettings,
    JobSettings,
    LearningSettings,
    MetricsSettings,
)
from gatepost.jobs.tlsevidence import FOLDER as TLS_REPORTS
from gatepost.mail.address import Address, normal_domain, parse_address
from gatepost.mail.finding import Mode
from gatepost.mail.trace import Networks
from gatepost.mailauth.authenticate import AuthSettings
from gatepost.net.authority import CertificateSettings
from gatepost.net.callout import CalloutSettings
from gatepost.net.directoryservice import PeopleSourceSettings
from gatepost.net.limits import ConnectionLimits, Listener, SessionLimits
from gatepost.net.outbound import OutboundSettings
from gatepost.net.resolver import DnsSettings
from gatepost.net.sandbox import SandboxSettings
from gatepost.net.tls import NamedCertificate, TlsSettings
from gatepost.office.settings import DigestSettings, PrivacySettings
from gatepost.policy.assemble import PolicyBook, PolicyProblem, assemble
from gatepost.policy.outgoing import assemble_outgoing
from gatepost.policy.settings import MarkingSettings, PolicyOverride, PolicySettings
from gatepost.smtp.limits import SmtpLimits
from gatepost.store.retention import Retention
from gatepost.store.sealing import QuarantineSettings
from gatepost.store.store import StoreSettings
from gatepost.submitting.settings import SubmissionSettings
from gatepost.web.settings import ConsoleSettings


class LogFormat(StrEnum):
    """How the log is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """One line a message on standard error."""

    format: LogFormat = LogFormat.TEXT
    """text for people, json for machines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """What clients may do and how long they may take."""

    smtp: SmtpLimits = field(default_factory=SmtpLimits)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    sessions: SessionLimits = field(default_factory=SessionLimits)
    message_s: float = 30.0
    """The budget of one message's lookups and checks, from the end of its data to our answer."""


if TYPE_CHECKING:
    CheckTables = Any
else:
    CheckTables = dataclasses.make_dataclass(
        "CheckTables",
        [(check.name, check.settings, field(default_factory=check.settings)) for check in ALL_CHECKS],
        frozen=True,
        kw_only=True,
        namespace={"__doc__": "One table for each check."},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcSettings:
    """ARC is verified; it counts only for those named here."""

    trusted_sealers: tuple[str, ...] = ()
    """Domains whose newest ARC seal we believe when it says that DMARC passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an operator can say."""

    hostname: str
    """Our name in greetings, trace fields and Authentication-Results: the name of the MX."""
    mode: Mode = Mode.ENFORCE
    """enforce, or observe: deliver what protocol, relay and recipient rules let in, and record what would have happened."""
    state: str = STATE
    """Folder of everything Gatepost keeps; relative paths start at this file's folder."""
    workers: int = 2
    """Processes that receive mail; 0 does everything in one process."""
    user: str = ""
    """The account to become after the ports are bound, when started as root."""
    trusted_relays: tuple[str, ...] = ()
    """Our own MXs in front of this one (addresses or networks): client and SPF are looked up behind their Received."""
    listeners: tuple[Listener, ...] = ()
    """Where we listen."""
    tls: TlsSettings = field(default_factory=TlsSettings)
    dns: DnsSettings = field(default_factory=DnsSettings)
    domains: tuple[DomainSettings, ...] = ()
    """The domains we take mail for."""
    people: PeopleSettings = field(default_factory=PeopleSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    identity_provider: ProviderSettings = field(default_factory=ProviderSettings)
    people_source: PeopleSourceSettings = field(default_factory=PeopleSourceSettings)
    submission: SubmissionSettings = field(default_factory=SubmissionSettings)
    marking: MarkingSettings = field(default_factory=MarkingSettings)
    arc: ArcSettings = field(default_factory=ArcSettings)
    checks: CheckTables = field(default_factory=CheckTables)
    authentication: AuthSettings = field(default_factory=AuthSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    callout: CalloutSettings = field(default_factory=CalloutSettings)
    outbound: OutboundSettings = field(default_factory=OutboundSettings)
    signing: SigningSettings = field(default_factory=SigningSettings)
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    mta_sts: MtaStsSettings = field(default_factory=MtaStsSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    quarantine: QuarantineSettings = field(default_factory=QuarantineSettings)
    retention: Retention = field(default_factory=Retention)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    digests: DigestSettings = field(default_factory=DigestSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    log: LogSettings = field(default_factory=LogSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration that has passed, with what was worked out from it."""

    path: Path | None
    """None for the built-in defaults of `scan`."""
    folder: Path
    """Where relative paths start."""
    config: Config
    table: dict[str, Any]
    """As written, to say what came from the file; with the overlay over it."""
    checks: tuple[Configured, ...]
    policies: PolicyBook
    outgoing: PolicyBook
    """For what our own people and machines send."""
    routes: Routes
    trusted_relays: Networks
    people: Staff
    overlay: dict[str, Any] = field(default_factory=dict)
    """What the console laid over it."""

    @property
    def state(self) -> Path:
        """The folder of everything we keep."""
        return self.folder / self.config.state

    @property
    def key_file(self) -> Path | None:
        """The master keys of the quarantine, where the configuration names them."""
        return key_file_at(self.config.quarantine.key_file, self.folder)


def load(path: Path, *, over: dict[str, Any] | None = None) -> Loaded:
    """Read and prove a configuration with what the console laid over it; ConfigError says what, where and what to do.

    `over` is tried in place of the console's.
    """
    table, folder = parse_toml(path), path.absolute().parent
    file = str(path)
    if over is None:
        state = table.get("state", STATE)
        over, overlay_file = read_overlay(folder / state) if isinstance(state, str) else ({}, "")
    else:
        overlay_file = OVERLAY
    try:
        alone = settle(table, file=file, path=path, folder=folder)
    except ConfigError as fault:  # what is wrong in the file alone is told of the file
        raise with_line(fault, path) from None
    if not over:
        return alone
    loaded = settle(merged(table, over), file=f"{file} with {overlay_file}", path=path, folder=folder)
    return dataclasses.replace(loaded, overlay=over)


def with_line(fault: ConfigError, path: Path) -> ConfigError:
    """The same fault with the line of its setting, where that is found."""
    try:
        line = line_of(path.read_text(encoding="utf-8"), fault.key)
    except (OSError, UnicodeDecodeError):  # it was changed meanwhile
        line = None
    return ConfigError(fault.file, fault.key, fault.problem, fault.hint, line=line)


def defaults(hostname: str = "localhost") -> Loaded:
    """Every setting on its default: what `scan` judges by without a file."""
    return settle({"hostname": hostname}, file="(defaults)", path=None, folder=Path())


def settle(table: dict[str, Any], *, file: str, path: Path | None, folder: Path) -> Loaded:
    """Read the table, and work out everything that can be wrong with it."""
    config = with_own_certificates(read_table(table, Config, file=file))
    refuse_unusable(config, file)
    reports = report_addresses(config.learning, file)
    checks, policies, outgoing = judging(config, reports, file=file, folder=folder)
    routes = routing(config, reports, file=file, folder=folder)
    try:
        people = Staff(
            config.people, own_domains=[one.name for one in config.domains], folder=folder,
            imported=folder / config.state / IMPORTED if config.people_source.servers else None,
        )  # fmt: skip
    except ValueError as fault:
        raise ConfigError(file, "people", f"{fault}.") from None
    return Loaded(
        path=path, folder=folder, config=config, table=table, checks=checks, policies=policies, outgoing=outgoing,
        routes=routes, trusted_relays=relays(config, file), people=people,
    )  # fmt: skip


def judging(
    config: Config, reports: tuple[Address, ...], *, file: str, folder: Path
) -> tuple[tuple[Configured, ...], PolicyBook, PolicyBook]:
    """The checks with their settings, the policy of what comes in and that of what goes out. Raises ConfigError."""
    settings = check_settings(config, folder)
    for check in ALL_CHECKS:
        for problem in check.problems(settings[check.name]) if check.problems else ():
            raise ConfigError(file, f"checks.{check.name}", f"{problem}.")
    for name in lists_called_alike(settings):
        raise ConfigError(
            file, "checks.surbl.lists", f"a list is called {name}, and so is one of dnsbl; give it a name."
        )
    try:
        checks = configure(settings, config.policy.modes)
        policies = assemble(letting_in(config.policy, reports), checks, mode=config.mode)
    except PolicyProblem as fault:
        raise ConfigError(file, "policy", str(fault)) from None
    try:
        outgoing = assemble_outgoing(
            config.submission.policy, checks, mode=config.mode, reports=[str(one) for one in reports]
        )
    except PolicyProblem as fault:
        raise ConfigError(file, "submission.policy", str(fault)) from None
    return checks, policies, outgoing


def check_settings(config: Config, folder: Path) -> dict[str, Any]:
    """What each check is told: its own table, and what stands elsewhere and concerns it."""
    settings = {check.name: getattr(config.checks, check.name) for check in ALL_CHECKS}
    forwarder = settings["forwarder"]
    settings["forwarder"] = dataclasses.replace(
        forwarder, trusted_sealers=(*forwarder.trusted_sealers, *config.arc.trusted_sealers)
    )
    settings["hello"] = with_our_names(settings["hello"], config)
    return {name: rooted(one, folder) for name, one in settings.items()}


def routing(config: Config, reports: tuple[Address, ...], *, file: str, folder: Path) -> Routes:
    """Where the mail of each domain goes; every address that the settings name must find its way. Raises ConfigError."""
    try:
        robots = {one.key: MaildirAt(folder / config.state / REPORTS) for one in reports}
        robots |= tls_report_robot(config, folder)
        routes = Routes(config.domains, folder=folder, robots=robots)
        Directory(routes=routes, clock=lambda: 0.0)  # refuses aliases that lead nowhere
    except ValueError as fault:
        raise ConfigError(file, "domains", str(fault)) from None
    for address in reports:
        if routes.find(address.domain) is None:
            raise ConfigError(
                file, "learning", f"{address} takes reports, but {address.domain} is not one of our domains."
            )
    srs_domain = config.signing.srs_domain
    if srs_domain and routes.find(normal_domain(srs_domain) or "") is None:
        raise ConfigError(
            file,
            "signing.srs_domain",
            f'is "{srs_domain}", which is none of our domains: its bounces would be lost.',
        )
    return routes


def relays(config: Config, file: str) -> Networks:
    """Our own MXs in front of this one. Raises ConfigError."""
    networks = []
    for one in config.trusted_relays:
        try:
            networks.append(ip_network(one, strict=False))
        except ValueError:
            raise ConfigError(
                file, "trusted_relays", f'"{one}" is neither an address nor a network.'
            ) from None
    return tuple(networks)


def tls_report_robot(config: Config, folder: Path) -> dict[str, MaildirAt]:
    """The address where TLS reports come, when it is ours: the gate reads it."""
    address = parse_address(config.mta_sts.reports_to) if config.mta_sts.reports_to else None
    ours = {one.name for one in config.domains}
    if address is None or address.domain not in ours:
        return {}
    return {address.key: MaildirAt(folder / config.state / TLS_REPORTS)}


def with_own_certificates(config: Config) -> Config:
    """Where Gatepost gets the certificates itself, those are the ones in use."""
    if not config.certificates.acme or config.tls.certificate:
        return config
    main, *more = (
        Path(config.state) / "certificates" / names[0] / "current" for names in certificate_names_of(config)
    )
    return dataclasses.replace(
        config,
        tls=dataclasses.replace(
            config.tls,
            certificate=str(main / "fullchain.pem"),
            key=str(main / "key.pem"),
            more=(
                *config.tls.more,
                *(
                    NamedCertificate(certificate=str(one / "fullchain.pem"), key=str(one / "key.pem"))
                    for one in more
                ),
            ),
        ),
    )


def certificate_names_of(config: Config) -> list[tuple[str, ...]]:
    """The names of each certificate that is got: the host name's first, then one for each domain's policy host."""
    hosts = [(config.hostname, *config.certificates.names)]
    if config.mta_sts.address:
        hosts += [(f"mta-sts.{one.name}",) for one in config.domains if not one.name.startswith(".")]
    return [tuple(normal_domain(name) or name for name in names) for names in hosts]


def lists_called_alike(settings: dict[str, Any]) -> list[str]:
    """Lists of clients and of links that bear one name: health and figures are kept by it."""
    of_clients, of_links = ({one.source for one in settings[name].lists} for name in ("dnsbl", "surbl"))
    return sorted(of_clients & of_links)


def report_addresses(settings: LearningSettings, file: str) -> tuple[Address, ...]:
    """Where our people report mail to. Raises ConfigError."""
    found = []
    for name in ("report_spam", "report_ham"):
        text = getattr(settings, name)
        address = parse_address(text, smtputf8=True) if text else None
        if text and address is None:
            raise ConfigError(file, f"learning.{name}", f'"{text}" is no mail address.')
        if address is not None:
            found.append(address)
    if len(found) == 2 and found[0].key == found[1].key:
        raise ConfigError(file, "learning.report_ham", "is the address for spam as well: each takes its own.")
    for text in settings.reports_from:
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise ConfigError(file, "learning.reports_from", f'"{text}" is no network.') from None
    return tuple(found)


def letting_in(policy: PolicySettings, reports: tuple[Address, ...]) -> PolicySettings:
    """The policy under which a report is not refused for what is reported in it: nobody reads it but the gate."""
    if not reports:
        return policy
    open_door = PolicyOverride(recipients=tuple(str(one) for one in reports), mode=Mode.OBSERVE)
    return dataclasses.replace(policy, overrides=(*policy.overrides, open_door))


def rooted(settings: Any, folder: Path) -> Any:
    """A check's settings with every relative path in a ``*_file`` or ``*_folder`` starting at the configuration's folder;
    in a list of tables too."""
    changed: dict[str, Any] = {}
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        if value and one.name.endswith(("_file", "_folder")):
            changed[one.name] = str(folder / value)
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            changed[one.name] = tuple(rooted(each, folder) for each in value)
    return dataclasses.replace(settings, **changed) if changed else settings


def with_our_names(hello: HelloSettings, config: Config) -> HelloSettings:
    """Host name and domains are ours without being told; a single label such as localhost is everybody's."""
    names = (*hello.our_names, config.hostname, *(one.name.removeprefix(".") for one in config.domains))
    normal_names = (normal_domain(name) or name.lower() for name in names)
    return dataclasses.replace(
        hello, our_names=tuple(dict.fromkeys(name for name in normal_names if "." in name))
    )
