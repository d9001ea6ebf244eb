//! The go-plugin handshake: what the host says in the environment, and the one
//! line that answers it.

use std::io::{self, Write};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;

/// Proof that a Terraform or OpenTofu started this process. It is no secret:
/// it keeps people from starting a plugin by hand and wondering.
const COOKIE: (&str, &str) =
    ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");
const CORE_PROTOCOL: u32 = 1;
const PROTOCOL: u32 = 6;

/// Why this process does not serve.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// Not started by a host.
    #[error(
        "this is a provider plugin. Terraform or OpenTofu starts it when a configuration names it under \
         required_providers; there is nothing to run by hand"
    )]
    ByHand,
    /// The host is too old.
    #[error("the host speaks plugin protocol {0}; this provider needs protocol 6, which Terraform has since 1.0")]
    Protocol(String),
    /// A certificate is the rule; doing without must be asked for.
    #[error("the host sent no certificate (PLUGIN_CLIENT_CERT), and TF_DISABLE_PLUGIN_TLS is not set")]
    NoCertificate,
    /// Nobody could connect.
    #[error("TFPLUGIN_TRANSPORT is `{0}`; `unix` and `tcp` are known")]
    Transport(String),
    /// Nor here.
    #[error("PLUGIN_MIN_PORT and PLUGIN_MAX_PORT are `{0}` and `{1}`, which is no range of ports")]
    Ports(String, String),
}

/// How the host connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By a unix socket.
    Unix,
    /// By a loopback port.
    Tcp,
}

impl Default for Transport {
    /// Whatever this system has.
    fn default() -> Self {
        if cfg!(unix) { Self::Unix } else { Self::Tcp }
    }
}

/// What the host said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Invitation {
    /// PEM of the only certificate that may connect.
    pub client_certificate: Option<String>,
    /// How it connects; `TFPLUGIN_TRANSPORT` chooses where this system's own
    /// way does not work.
    pub transport: Transport,
    /// Where the socket goes.
    pub socket_directory: Option<PathBuf>,
    /// The group that may use the socket beside this user, by name or number.
    pub socket_group: Option<String>,
    /// The ports to try where there are no unix sockets.
    pub ports: Option<(u16, u16)>,
    /// Whether the host asked about multiplexing; it is answered with no.
    pub asks_multiplex: bool,
}

impl Invitation {
    /// Reads the environment that the host gave this process.
    pub fn from_environment() -> Result<Self, Refusal> {
        Self::read(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Without a host: nothing but the way to connect is read.
    pub fn for_debugging() -> Result<Self, Refusal> {
        Ok(Self { transport: transport(|name| std::env::var(name).ok())?, ..Self::default() })
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        if variable(COOKIE.0).as_deref() != Some(COOKIE.1) {
            return Err(Refusal::ByHand);
        }
        if let Some(versions) = variable("PLUGIN_PROTOCOL_VERSIONS")
            && !versions.split(',').any(|version| version.trim().parse() == Ok(PROTOCOL))
        {
            return Err(Refusal::Protocol(versions));
        }
        let client_certificate = variable("PLUGIN_CLIENT_CERT");
        if client_certificate.is_none() && variable("TF_DISABLE_PLUGIN_TLS").is_none() {
            return Err(Refusal::NoCertificate);
        }
        let transport = transport(&variable)?;
        Ok(Self {
            client_certificate,
            transport,
            socket_directory: variable("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from),
            socket_group: variable("PLUGIN_UNIX_SOCKET_GROUP"),
            ports: ports(variable("PLUGIN_MIN_PORT"), variable("PLUGIN_MAX_PORT"))?,
            asks_multiplex: variable("PLUGIN_MULTIPLEX_GRPC").is_some(),
        })
    }
}

fn transport(variable: impl Fn(&str) -> Option<String>) -> Result<Transport, Refusal> {
    match variable("TFPLUGIN_TRANSPORT").as_deref() {
        None | Some("") => Ok(Transport::default()),
        Some("unix") => Ok(Transport::Unix),
        Some("tcp") => Ok(Transport::Tcp),
        Some(other) => Err(Refusal::Transport(other.to_owned())),
    }
}

/// The ports that the host allows; a bound that it does not give is 0, as in Go.
fn ports(least: Option<String>, most: Option<String>) -> Result<Option<(u16, u16)>, Refusal> {
    if least.is_none() && most.is_none() {
        return Ok(None);
    }
    let (least, most) = (least.unwrap_or_else(|| "0".into()), most.unwrap_or_else(|| "0".into()));
    match (least.parse(), most.parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(Some((first, last))),
        _ => Err(Refusal::Ports(least, most)),
    }
}

/// Where the plugin listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `unix` or `tcp`.
    pub network: &'static str,
    /// A path, or host and port.
    pub address: String,
}

/// Writes the line that the host waits for. Nothing may go to standard output
/// before it.
pub fn announce(invitation: &Invitation, address: &Address, certificate: Option<&[u8]>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", line(invitation, address, certificate))?;
    out.flush()
}

fn line(invitation: &Invitation, address: &Address, certificate: Option<&[u8]>) -> String {
    let Address { network, address } = address;
    let certificate = certificate.map(|der| STANDARD_NO_PAD.encode(der)).unwrap_or_default();
    let multiplex = if invitation.asks_multiplex { "|false" } else { "" };
    format!("{CORE_PROTOCOL}|{PROTOCOL}|{network}|{address}|grpc|{certificate}{multiplex}")
}

/// Writes what a person sets for a host to connect to this process.
pub fn announce_debug(name: &str, source: Option<&str>, address: &Address) -> io::Result<()> {
    let source = source.map_or_else(|| format!("{name}/{name}"), str::to_owned);
    let reattach = json!({
        format!("registry.terraform.io/{source}"): {
            "Protocol": "grpc",
            "ProtocolVersion": PROTOCOL,
            "Pid": std::process::id(),
            "Test": true,
            "Addr": { "Network": address.network, "String": address.address },
        }
    });
    let mut out = io::stdout().lock();
    writeln!(out, "Provider started. Set this where terraform or tofu runs; Ctrl-C ends it.\n")?;
    writeln!(out, "\tTF_REATTACH_PROVIDERS='{reattach}'")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation(variables: &[(&str, &str)]) -> Result<Invitation, Refusal> {
        Invitation::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_the_cookie_nothing_is_served() {
        assert_eq!(invitation(&[]), Err(Refusal::ByHand));
        assert_eq!(invitation(&[(COOKIE.0, "other"), ("PLUGIN_CLIENT_CERT", "x")]), Err(Refusal::ByHand));
    }

    #[test]
    fn the_protocol_is_negotiated() {
        let with =
            |versions| invitation(&[COOKIE, ("PLUGIN_CLIENT_CERT", "x"), ("PLUGIN_PROTOCOL_VERSIONS", versions)]);
        assert!(with("5,6").is_ok());
        assert_eq!(with("4,5"), Err(Refusal::Protocol("4,5".into())));
        assert_eq!(with("66"), Err(Refusal::Protocol("66".into())));
    }

    #[test]
    fn plain_text_must_be_asked_for() {
        assert_eq!(invitation(&[COOKIE]), Err(Refusal::NoCertificate));
        assert!(invitation(&[COOKIE, ("TF_DISABLE_PLUGIN_TLS", "1")]).is_ok());
    }

    #[test]
    fn the_way_to_connect_is_what_the_host_says() {
        let with = |name, value| invitation(&[COOKIE, ("PLUGIN_CLIENT_CERT", "x"), (name, value)]);
        assert_eq!(with("TFPLUGIN_TRANSPORT", "tcp").map(|read| read.transport), Ok(Transport::Tcp));
        assert_eq!(with("TFPLUGIN_TRANSPORT", "pipe"), Err(Refusal::Transport("pipe".into())));
        let group = with("PLUGIN_UNIX_SOCKET_GROUP", "users").map(|read| read.socket_group);
        assert_eq!(group, Ok(Some("users".into())));

        let range = |least: &str, most: &str| ports(Some(least.into()), Some(most.into()));
        assert_eq!((ports(None, None), range("10000", "25000")), (Ok(None), Ok(Some((10_000, 25_000)))));
        for (least, most) in [("2", "1"), ("x", "1"), ("1", "65536")] {
            assert_eq!(range(least, most), Err(Refusal::Ports(least.into(), most.into())));
        }
    }

    #[test]
    fn the_line_has_six_fields_and_a_seventh_only_on_demand() {
        let address = Address { network: "unix", address: "/tmp/s".into() };
        let mut invitation = Invitation::default();
        assert_eq!(line(&invitation, &address, Some(&[0, 1])), "1|6|unix|/tmp/s|grpc|AAE");
        invitation.asks_multiplex = true;
        assert_eq!(line(&invitation, &address, None), "1|6|unix|/tmp/s|grpc||false");
    }
}
