//! The registrars of the cases over TCP and TLS: a Kamailio that has one address for each of them, with
//! the certificate and the habit that its case asks for.

use super::{Over, script::Step};
use crate::{
    Lab, Outcome,
    authority::{Authority, Certificate},
    kamailio::server::{ask, launch, modules},
    network::Place,
    process::Process,
};
use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
};

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Registrar {
    pub(super) over: Over,
    pub(super) address: Ipv4Addr,
    /// The name in its certificate, if it speaks TLS.
    pub(super) host: String,
    /// What it does instead of registering anybody.
    pub(super) instead: Option<&'static [Step]>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Registrars {
    process: Process,
    directory: PathBuf,
}

impl Registrars {
    /// Starts them at a place whose network has all their addresses.
    pub(super) fn start(
        lab: &Lab,
        place: &Place,
        authority: &Authority,
        registrars: &[Registrar],
    ) -> Outcome<Self> {
        let name = "failover-kamailio";
        let directory = lab.directory.join(name);
        let write = |file: &str, text: String| {
            let path = directory.join(file);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let mut tls = String::new();
        let mut listens = String::new();
        for registrar in registrars {
            let socket = SocketAddrV4::new(registrar.address, registrar.over.port());
            let word = registrar.over.name().to_lowercase();
            // Writing to a string cannot fail.
            let _ = writeln!(listens, "listen={word}:{socket}");
            if registrar.over == Over::Tls {
                let certificate = authority.issue(&registrar.host)?;
                if tls.is_empty() {
                    // It insists on a default, which no address uses.
                    tls.push_str(&profile("default", &certificate));
                }
                tls.push_str(&profile(&socket.to_string(), &certificate));
            }
        }
        write("tls.cfg", tls)?;
        let habits: String = registrars.iter().map(habit).collect();
        let config = format!(
            "#!KAMAILIO\ndebug=2\nlog_stderror=yes\nchildren=1\ntcp_children=1\nauto_aliases=no\n\
             enable_tls=yes\ndns_cache_init=no\nuse_dns_cache=no\n{listens}\
             mpath=\"{}\"\n{}\
             modparam(\"ctl\", \"binrpc\", \"unix:{at}/ctl\")\n\
             modparam(\"tls\", \"config\", \"{at}/tls.cfg\")\n\
             modparam(\"usrloc\", \"db_mode\", 0)\nmodparam(\"usrloc\", \"use_domain\", 1)\n\
             request_route {{\n{habits}save(\"location\");\n}}\n",
            modules()?,
            MODULES
                .map(|name| format!("loadmodule \"{name}.so\"\n"))
                .concat(),
            at = directory.display()
        );
        write("kamailio.cfg", config)?;
        let process = launch(lab, place, name, &directory, "FAILOVER")?;
        Ok(Self { process, directory })
    }

    /// Whether this account is registered.
    pub(super) fn knows(&self, account: &str) -> Outcome<bool> {
        let dump = ask(&self.directory, &["ul.dump"])?;
        let mut records = dump
            .lines()
            .filter_map(|line| line.trim().strip_prefix("AoR: "));
        Ok(records.any(|record| record == account))
    }
}

impl Drop for Registrars {
    fn drop(&mut self) {
        // Its children end with it only if it is asked.
        let _ = self.process.end();
    }
}

/// How TLS is spoken at an address.
fn profile(address: &str, certificate: &Certificate) -> String {
    format!(
        "[server:{address}]\nmethod = TLSv1.2+\nverify_certificate = no\n\
         require_certificate = no\nprivate_key = {}\ncertificate = {}\n",
        certificate.key.display(),
        certificate.certificate.display()
    )
}

/// What one of them does instead of registering anybody, as a piece of the script.
fn habit(registrar: &Registrar) -> String {
    let Some(steps) = registrar.instead else {
        return String::new();
    };
    let mut text = format!("if ($Ri == \"{}\") {{\n", registrar.address);
    for step in steps {
        if let Step::Answer(status, further) = step {
            if !further.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "append_to_reply(\"{further}\\r\\n\");");
            }
            let (code, reason) = status.split_once(' ').unwrap_or((status, ""));
            let _ = writeln!(text, "sl_send_reply(\"{code}\", \"{reason}\");");
        }
    }
    text.push_str("exit;\n}\n");
    text
}

const MODULES: [&str; 7] = ["ctl", "pv", "sl", "textops", "tls", "usrloc", "registrar"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_habit_is_that_of_one_address() {
        let mut registrar = Registrar {
            over: Over::Tcp,
            address: Ipv4Addr::new(127, 0, 3, 7),
            host: "x.example".to_owned(),
            instead: Some(&[
                Step::Receive("REGISTER"),
                Step::Answer("503 Service Unavailable", "Retry-After: 60"),
            ]),
        };
        assert_eq!(
            habit(&registrar),
            "if ($Ri == \"127.0.3.7\") {\nappend_to_reply(\"Retry-After: 60\\r\\n\");\n\
             sl_send_reply(\"503\", \"Service Unavailable\");\nexit;\n}\n"
        );
        registrar.instead = None;
        assert_eq!(habit(&registrar), "");
    }
}
