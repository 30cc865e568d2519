//! Authorities of the test's own, and one certificate for each case.

use super::Case;
use crate::Outcome;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType, date_time_ymd,
};
use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// What makes a certificate special; the names are those of its case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Uri,
    Dns,
    Wildcard,
    /// Only the name that SRV leads to.
    Target,
    Ip(Ipv4Addr),
    CommonName,
    Expired,
    WrongUsage,
    UnknownAuthority,
}

/// Who signs.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, in PEM.
    pub(super) file: PathBuf,
}

impl Authority {
    pub(super) fn new(directory: &Path, name: &str) -> Outcome<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(text)?;
        let certificate = params.self_signed(&key).map_err(text)?;
        let file = directory.join(format!("{name}.pem"));
        fs::write(&file, certificate.pem()).map_err(text)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            file,
        })
    }

    /// Writes the certificate of a case and its key; returns the two files.
    pub(super) fn sign(&self, directory: &Path, case: &Case) -> Outcome<(PathBuf, PathBuf)> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let subject = &mut params.distinguished_name;
        subject.push(DnType::OrganizationName, "peers");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let host = case.host;
        let name = |name: &str| name.try_into().map_err(text);
        let names = &mut params.subject_alt_names;
        match case.kind {
            Kind::Uri => names.push(SanType::URI(name(&format!("sip:{host}"))?)),
            Kind::Wildcard => {
                let parent = host.split_once('.').map_or(host, |(_, parent)| parent);
                names.push(SanType::DnsName(name(&format!("*.{parent}"))?));
            }
            Kind::Target => names.push(SanType::DnsName(name(super::TARGET)?)),
            Kind::Ip(ip) => names.push(SanType::IpAddress(ip.into())),
            Kind::CommonName => params.distinguished_name.push(DnType::CommonName, host),
            Kind::Dns | Kind::Expired | Kind::WrongUsage | Kind::UnknownAuthority => {
                names.push(SanType::DnsName(name(host)?));
            }
        }
        match case.kind {
            Kind::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2020, 2, 1);
            }
            Kind::WrongUsage => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }
            _ => {}
        }
        let key = KeyPair::generate().map_err(text)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(text)?;
        let files = (
            directory.join(format!("{host}.pem")),
            directory.join(format!("{host}.key")),
        );
        fs::write(&files.0, certificate.pem()).map_err(text)?;
        fs::write(&files.1, key.serialize_pem()).map_err(text)?;
        Ok(files)
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
