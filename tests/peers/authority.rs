//! A certificate authority of the test's own, by OpenSSL.

use crate::{Outcome, process};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// An authority, and where its files are.
#[derive(Debug)]
pub(crate) struct Authority {
    directory: PathBuf,
}

/// A certificate with its key, PEM.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Makes one that nobody else trusts.
    pub(crate) fn new(directory: &Path) -> Outcome<Self> {
        let directory = directory.join("authority");
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let authority = Self { directory };
        let mut command = authority.openssl("req");
        command.args(["-x509", "-days", "7", "-subj", "/CN=authority of the peers"]);
        command.args(NEW_KEY).args(["-keyout", "ca.key"]);
        command.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
        command.args(["-addext", "keyUsage=critical,keyCertSign"]);
        command.args(["-out", "ca.pem"]);
        process::run(&mut command)?;
        Ok(authority)
    }

    /// What the other side must trust.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Issues a certificate for one host name (`DNS`), and for nothing else.
    pub(crate) fn issue(&self, host: &str) -> Outcome<Certificate> {
        let file = |suffix: &str| self.directory.join(format!("{host}.{suffix}"));
        let extensions = format!(
            "subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n\
             extendedKeyUsage=serverAuth,clientAuth\n"
        );
        fs::write(file("ext"), extensions).map_err(|error| error.to_string())?;
        let mut request = self.openssl("req");
        request.args(NEW_KEY).args(["-subj", "/O=peers"]);
        request.arg("-keyout").arg(file("key"));
        request.arg("-out").arg(file("csr"));
        process::run(&mut request)?;
        let mut sign = self.openssl("x509");
        sign.args(["-req", "-days", "7", "-CA", "ca.pem", "-CAkey", "ca.key"]);
        sign.arg("-in").arg(file("csr"));
        sign.arg("-CAcreateserial").arg("-extfile").arg(file("ext"));
        sign.arg("-out").arg(file("pem"));
        process::run(&mut sign)?;
        Ok(Certificate {
            certificate: file("pem"),
            key: file("key"),
        })
    }

    fn openssl(&self, verb: &str) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(&self.directory).arg(verb);
        command
    }
}

/// Has OpenSSL make a key of ECDSA, in the clear.
pub(crate) const NEW_KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];
