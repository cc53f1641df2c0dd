"""What newcomers mistype, and what they are told: the tables of ``test_slips.py``.

In braces stands what the test fills in: ``{uri}`` is a channel's, ``{who}`` the options of its sender, ``{new}`` a folder for state
that may be made, ``{gone}`` what is not there. What is said is a regular expression.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

import tocsin


@frozen
class Slip:
    """A line that a newcomer types, and the exit code that it ends with; ``said`` is a regular expression."""

    line: str
    code: int
    said: str
    env: Mapping[str, str] = field(factory=dict)
    as_process: bool = False
    """Whether the interpreter has to be new: it reads ``env`` once."""
    as_stranger: bool = False
    """Whether the user is not the one that owns what is there."""


SLIPS = {
    "no verb": Slip("", 2, "VERB"),
    "a verb that is mistyped": Slip("sned {uri} hi", 2, "sned.*send"),
    "no action": Slip("app", 2, "ACTION"),
    "no name": Slip("app add", 2, "NAME"),
    # where to
    "a URI with a blank": Slip("send '{uri} x' hi {who}", 1, "no blanks and no line breaks: copy it whole"),
    "a URI in quotes twice": Slip(
        """send "'{uri}'" hi {who}""", 1, "no quotes of its own: leave out what stands around it"
    ),
    "a URI with backslashes": Slip(
        r"send '{url}/w/\?token=x' hi {who}", 1, "no backslashes: in quotes, a shell wants none"
    ),
    "a URI of the documents": Slip(
        "send http://127.0.0.1:8080/w/?token=… hi {who}", 1, "has ASCII characters only: copy the whole of it"
    ),
    "a URI with a fragment": Slip("send {uri}#top hi {who}", 1, "has no #: leave out what stands behind it, too"),
    "a URI with a password": Slip(
        "send http://me:secret@push.example/w/?token=x hi {who}", 1, "URI has no user and no password before its host$"
    ),
    "a body without its channel": Slip("send hi {who}", 1, "say where to: .* or by TOCSIN_CHANNEL in the environment"),
    "a URI without its scheme": Slip(
        "send 127.0.0.1:80/w/?token=x hi {who}", 1, "begins with http:// or https:// and a host"
    ),
    "a URI without its token": Slip("send {url}/w/ hi {who}", 1, "404: .*; this URI has no token in it: copy it whole"),
    "a URI cut short": Slip("send {short} hi {who}", 1, "404: .*; the app gets another when it asks"),
    "https for http": Slip("send {as_https} hi {who}", 1, r"does not speak TLS: name it with http://.*TLS$"),
    "http for https": Slip("send {as_http} hi {who}", 1, "speaks TLS: name it with https://$"),
    "a certificate that is not trusted": Slip(
        "send {tls_uri} hi {who}", 1, r"not trusted .*SSL_CERT_FILE .*certificate\)$"
    ),
    "a certificate of another host": Slip(
        "send {tls_uri} hi {who}",
        1,
        "certificate of .* is for another host: name it as its certificate does",
        env={"SSL_CERT_FILE": "{authority}"},
        as_process=True,
    ),
    "an authority that is not there": Slip(
        "send {tls_uri} hi {who}",
        1,
        "not trusted .*; SSL_CERT_FILE names '{gone}', which is not there",
        env={"SSL_CERT_FILE": "{gone}"},
    ),
    "nothing listens": Slip("send http://127.0.0.1:1/w/?token=x hi {who} --retries 0", 1, "no program listens at"),
    "a host that is mistyped": Slip(
        "send http://no-such.invalid/w/?token=x hi {who} --retries 0",
        1,
        "no-such.invalid:80 is unknown: its name leads to no",
    ),
    "http for WNS": Slip("send http://db3p.notify.windows.com/?token=x hi {who}", 1, "begins with https://"),
    "a token URL that is none": Slip(
        "send {uri} hi {who} --token-url push.example", 1, "a token URL begins with http://"
    ),
    "a wrong token URL": Slip("send {uri} hi {who} --token-url {url}/token", 1, "404 .*; .*--token-url names that"),
    # who
    "no credentials": Slip(
        "send {uri} hi", 1, "--client-id and --client-secret, or TOCSIN_CLIENT_ID .*'tocsin app add NAME'"
    ),
    "a wrong client id": Slip(
        "send {uri} hi --client-id i --client-secret s", 1, "client id; .*'tocsin app list' shows"
    ),
    "a wrong secret": Slip("send {uri} hi --client-id {id} --client-secret s", 1, "secret .*'tocsin app rotate NAME'"),
    "another app's channel": Slip(
        "send {uri} hi {who_else}", 1, "403: .*; a channel takes .* client id of its own app"
    ),
    # what
    "an empty body": Slip("send {uri} '' {who}", 1, "must not be empty"),
    "an empty toast": Slip("send {uri} '' --type toast {who}", 1, "a toast must not be empty: nothing would be shown"),
    "a body without quotes": Slip("send {uri} hello there {who}", 2, "unrecognized arguments: there"),
    "a body that is too long": Slip("send {uri} {long} {who}", 1, "has 5001 bytes; at most 5000 are allowed"),
    "a toast that is no UTF-8": Slip(
        "send {uri} {bytes} --type toast {who}", 1, "is text or XML, and these bytes are neither"
    ),
    "a toast that is no XML": Slip("send {uri} <toast> --type toast {who}", 0, "no device will show .*: it is no XML"),
    "a type that is mistyped": Slip("send {uri} hi --type toats {who}", 2, "toats.*toast"),
    "a badge of words": Slip("send {uri} many --type badge {who}", 1, "a badge is a number .* or .*, not 'many'"),
    "a tag that is too long": Slip(
        "send {uri} hi --tag 12345678901234567 {who}", 1, "X-WNS-Tag must be 1 to 16 letters"
    ),
    "a time to live in words": Slip(
        "send {uri} hi --ttl ten {who}", 2, "--ttl: a whole number from 0 to 9999999999, not 'ten'"
    ),
    "a value for what takes none": Slip("send {uri} hi --json=yes {who}", 2, "--json: .*'yes'"),
    "an option without its value": Slip("send {uri} hi --tag", 2, "--tag: expected one argument"),
    "an option behind the words": Slip(
        "send {uri} {who} -- hi --tag t", 2, "unrecognized arguments: --tag t; options stand before --$"
    ),
    "an option that there is not": Slip("send {uri} hi --colour red {who}", 2, "unrecognized arguments: --colour"),
    # the state folder
    "a file for a folder": Slip("serve --state {file}", 1, "{file} is a file, and no folder; give another --state"),
    "a folder in a file": Slip(
        "serve --state {file}/state", 1, "{file} is a file, and no folder; give another --state"
    ),
    "a folder that is in use": Slip(
        "serve --state {used}", 1, r"is in use by process \d+; give this one another --state"
    ),
    "a folder that is named by nothing": Slip(
        "serve --state ''", 2, "--state: a state folder is named by a path, not by an empty"
    ),
    "another user's folder": Slip(
        "serve --state {used}",
        1,
        r"belongs to another user \(id \d+, this is 65534\); give another --state",
        as_stranger=True,
    ),
    "a folder without rights": Slip(
        "serve --state {used}/in/it",
        1,
        r"this user \(id \d+\) has no right to it .*; give another --state",
        as_stranger=True,
    ),
    "a newer version's state": Slip("serve --state {newer}", 1, "was written by a newer Tocsin .*; upgrade Tocsin"),
    "another program's database": Slip(
        "serve --state {foreign}", 1, "is a database of another program; move it away or give"
    ),
    "a state that is damaged": Slip("serve --state {damaged}", 1, "is corrupt .*; move it away to begin anew"),
    "no state at all": Slip(
        "channels --state {gone}", 1, "there is no state of Tocsin in {gone}; name its folder with --state"
    ),
    # the service
    "a port that is in use": Slip(
        "serve --state {new} --port {port}", 1, "port {port} on 127.0.0.1 is in use .*choose another"
    ),
    "the same for listen": Slip(
        "listen --state {new} --port {port}", 1, "port {port} on 127.0.0.1 is in use .*choose another"
    ),
    "a port that is none": Slip(
        "serve --state {new} --port 99999", 1, "--port is a whole number from 0 to 65535, not 99999"
    ),
    "open to others without TLS": Slip(
        "serve --state {new} --host 0.0.0.0", 1, "give --tls-cert and --tls-key, or --insecure"
    ),
    "a host that is not here": Slip(
        "serve --state {new} --host no-such.invalid --insecure",
        1,
        r"'no-such.invalid' is not an address or name of .*: [^\[]*$",
    ),
    "a certificate that is not there": Slip(
        "serve --state {new} --tls-cert {gone}", 1, "certificate in {gone} .*: No such file"
    ),
    "settings that are not there": Slip(
        "serve --config {gone}", 1, r"settings in {gone} cannot be read: No such file or directory$"
    ),
    "settings that are no TOML": Slip(
        "serve --config {file}", 1, r"settings in {file} cannot be read: .*\(at line 1, col"
    ),
    "a setting that is mistyped": Slip("serve --config {mistyped}", 1, "there is no setting 'prot'"),
    "a value that cannot be": Slip(
        "serve", 1, "TOCSIN_PORT is a whole number from 0 to 65535, not 'x'", env={"TOCSIN_PORT": "x"}
    ),
    "an engine that there is not": Slip(
        "serve --state {new} --engine mysql://u:pa55@h/d",
        1,
        "--engine is postgresql://USER@HOST:PORT/DATABASE; without one",
    ),
    "an engine without the URL of the whole": Slip(
        "serve --state {new} --engine postgresql:///tocsin", 1, "one address: give --public-url"
    ),
    "a link without other nodes": Slip(
        "serve --state {new} --link 127.0.0.1:0", 1, "the state folder has one node: give --engine"
    ),
    "a link that leads nowhere": Slip(
        "serve --state {new} --engine postgresql:///tocsin --public-url https://h --link 0.0.0.0:7443",
        1,
        "cannot connect to 0.0.0.0:7443: give --link-address",
    ),
    "a link that is no place": Slip("serve --state {new} --link 7443", 1, "--link is HOST:PORT, such as 10.0.0.7:7443"),
    "an engine for a twin": Slip(
        "serve --dev --engine postgresql:///tocsin", 1, "a state folder of its own: leave the engine out"
    ),
    "an engine that is not there": Slip(
        "serve --state {new}/engine --public-url https://h --engine postgresql://u:pa55@127.0.0.1:1/d",
        1,
        "PostgreSQL at 127.0.0.1:1/d cannot be reached",
    ),
    "an engine for a service that has a folder": Slip(
        "serve --state {apps} --public-url https://h --engine postgresql://127.0.0.1:1/d",
        1,
        "'tocsin migrate --from {apps} --to URL' moves it into a database",
    ),
    "a move from nowhere": Slip(
        "migrate --from {gone} --to postgresql:///d",
        1,
        "no push service's state in {gone}; name its folder with --from",
    ),
    "a move of what runs": Slip(
        "migrate --from {used} --to postgresql:///d", 1, r"process \d+ uses {used}: end it first"
    ),
    "a move to nowhere": Slip("migrate --from {apps}", 1, "give the database with --to postgresql://.*TOCSIN_ENGINE"),
    "a move that never was": Slip("migrate --undo --from {apps}", 1, "no service was moved from {apps}"),
    "an app that there is": Slip(
        "app add contoso --state {apps}", 1, "'contoso' already; 'rotate' gives it another secret"
    ),
    "an app that there is not": Slip("app remove fabrikam --state {apps}", 1, "no app is registered as 'fabrikam'"),
    "no service to ask": Slip(
        "status --state {gone}", 1, "no agent.* runs on {gone}; name the state folder with --state"
    ),
    "a service by http for https": Slip("status --url {tls_as_http}", 1, "speaks TLS: name it with https://$"),
    "a service by https for http": Slip("status --url {plain_as_https}", 1, "does not speak TLS: name it with http://"),
    "a service that is not there": Slip("status --url http://127.0.0.1:1", 1, "no program listens at 127.0.0.1:1"),
}

ENGINE_SLIPS = {
    "a wrong password": Slip(
        "serve --state {new} --public-url https://h", 1, "does not let this user in", {"TOCSIN_ENGINE": "{secret}"}
    ),
    "a user that there is not": Slip(
        "serve --state {new} --public-url https://h", 1, "does not let this user in", {"TOCSIN_ENGINE": "{stranger}"}
    ),
    "a database that is not there": Slip("app list --engine {missing}", 1, "has no such database: .*createdb"),
    "a database in another encoding": Slip("app list --engine {latin}", 1, "createdb --encoding=UTF8"),
    "a newer version's database": Slip("app list --engine {newer}", 1, "by a newer Tocsin .*; upgrade Tocsin"),
    "another program's schema": Slip("app list --engine {foreign}", 1, "a schema tocsin of another program"),
    "a database with another service": Slip(
        "migrate --from {folder} --to {used}", 1, "holds another service: give an empty database"
    ),
    "a service that was moved": Slip(
        "serve --state {moved}",
        1,
        "is in PostgreSQL.*: give --engine.*'tocsin migrate --undo --from {moved}' goes back",
    ),
    "the apps of one that was moved": Slip("app list --state {moved}", 1, "is in PostgreSQL.*: give --engine"),
    "the channels of one that was moved": Slip("channels --state {moved}", 1, "is in PostgreSQL.*: give --engine"),
    "one that was moved elsewhere": Slip(
        "migrate --from {moved} --to {latin}", 1, "was moved into PostgreSQL .*, not PostgreSQL"
    ),
}
"""What needs a server to go wrong."""


@frozen
class Program:
    """The middle of a small program, and what its error says; ``said`` is a regular expression."""

    lines: str
    error: type[tocsin.PushError]
    said: str
    backend: str = "asyncio"


EMBEDDED = "async with tocsin.embedded('contoso.mail', {state!r}, sensors=()) as manager:\n    "
CLIENT = "async with tocsin.WnsClient('i', 's') as client:\n    "

PROGRAMS = {
    "a handler that was called": Program(
        EMBEDDED
        + "result = await manager.create_channel(manager.registration.remote_id)\n    with result.channel.push_received(print(end='')): pass",
        tocsin.InvalidArgument,
        "a handler is called, which NoneType cannot be: give the function itself, not what it returns",
    ),
    "a channel for no remote id": Program(
        EMBEDDED + "await manager.create_channel()",
        tocsin.InvalidArgument,
        "needs a remote id to request a channel: the GUID",
    ),
    "a remote id that is no GUID": Program(
        EMBEDDED + "await manager.create_channel('contoso')", tocsin.InvalidArgument, "the remote id must be a GUID"
    ),
    "a service without its scheme": Program(
        "async with tocsin.embedded('contoso.mail', {state!r}, 'localhost:8080'): pass",
        tocsin.InvalidArgument,
        "a push service is a URL such as https://push.example, .*, not 'localhost:8080'",
    ),
    "a port that is in use": Program(
        "async with tocsin.embedded('contoso.mail', {state!r}, port={port}): pass",
        tocsin.PlatformUnavailable,
        "port {port} on 127.0.0.1 is in use by another program; choose another port",
    ),
    "a file for a folder": Program(
        "async with tocsin.embedded('contoso.mail', {file!r}): pass",
        tocsin.StateUnavailable,
        "{file} is a file, and no folder",
    ),
    "trio for asyncio": Program(
        "async with tocsin.embedded('contoso.mail', {state!r}): pass", tocsin.NotSupported, "runs on asyncio", "trio"
    ),
    "a sender on trio": Program(CLIENT + "pass", tocsin.NotSupported, "runs on asyncio", "trio"),
    "a sender that is not open": Program(
        "await tocsin.WnsClient('i', 's').send({uri!r}, 'hi')", tocsin.IllegalCall, "not open: .*async with .*WnsClient"
    ),
    "a sender without its secret": Program(
        "tocsin.WnsClient(os.environ.get('NO_SUCH'), 's')",
        tocsin.InvalidArgument,
        "the client id must be text, not None",
    ),
    "a channel of another host": Program(
        CLIENT + "await client.send('https://push.example/?token=x', 'hi')",
        tocsin.InvalidArgument,
        "push.example is not one that is trusted here: .*; token_url= says where",
    ),
    "a body that is a dict": Program(
        CLIENT + "await client.send({uri!r}, dict(a=1))",
        tocsin.InvalidArgument,
        "text or bytes, not dict: json.dumps makes text",
    ),
    "a type that is mistyped": Program(
        CLIENT + "await client.send({uri!r}, 'hi', type='toats')",
        tocsin.InvalidArgument,
        "must be wns/toast, .*, not 'wns/toats'",
    ),
    "a time to live that is text": Program(
        CLIENT + "await client.send({uri!r}, 'hi', ttl='60')",
        tocsin.InvalidArgument,
        "ttl must be a whole number or None, not str",
    ),
    "wrong credentials": Program(
        CLIENT + "await client.send({uri!r}, 'hi')", tocsin.SenderNotAllowed, "No app is registered"
    ),
}

DEVICES = {
    "https for http": ("{plain_as_https}", "does not speak TLS: name it with http://"),
    "http for https": ("{tls_as_http}", "speaks TLS: name it with https://"),
    "a certificate that is not trusted": ("{tls}", "let SSL_CERT_FILE name the file"),
    "a path that leads nowhere": ("{url}/push", "service= names what 'tocsin serve' prints"),
}
"""By slip: the service that a program names, and what its channel request ends with."""

WITHOUT = {
    "serve": (
        "httptools",
        "main(['serve', '--state', sys.argv[1]])",
        "tocsin serve: .* httptools: pip install 'tocsin[service]'",
    ),
    "an engine": (
        "asyncpg",
        "main(['serve', '--state', sys.argv[1], '--public-url', 'https://h', '--engine', 'postgresql:///d'])",
        "tocsin serve: PostgreSQL needs the package asyncpg: pip install 'tocsin[postgres]'",
    ),
    "the channels of an engine": (
        "asyncpg",
        "main(['channels', '--engine', 'postgresql:///d'])",
        "tocsin channels: PostgreSQL needs the package asyncpg: pip install 'tocsin[postgres]'",
    ),
    "a move": (
        "asyncpg",
        "main(['app', 'add', 'a', '--state', sys.argv[1]]) or main(['migrate', '--from', sys.argv[1], '--to', 'postgresql:///d'])",
        "tocsin migrate: PostgreSQL needs the package asyncpg: pip install 'tocsin[postgres]'",
    ),
    "listen": (
        "httptools",
        "main(['listen', '--state', sys.argv[1]])",
        "tocsin listen: .* httptools: pip install 'tocsin[service]'",
    ),
    "send": (
        "aiohttp",
        "main(['send', 'http://127.0.0.1/?token=x', 'hi'])",
        "tocsin send: .* aiohttp: pip install 'tocsin[client]'",
    ),
    "local_wns": (
        "httptools",
        "tocsin.testing.local_wns()",
        "NotSupported: .*local_wns .* httptools: pip install 'tocsin[service]'",
    ),
}
"""By what is used: the package that is missing, the program, and what its last line is; ``[`` and ``]`` stand for themselves."""
