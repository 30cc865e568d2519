//! The options of the command line as the configuration of an agent.

use crate::{
    options::{self, Common, IceOptions, MediaOptions, Tls},
    outcome::{Exit, Failure},
};
use runtime_smol::tls;
use sipsimple::{
    agent::{Account, Config},
    base::digest::Secret,
    sip::{auth::Credentials, config::Reliability},
    stream::{Codec, DigitMode, Encryption, IcePolicy, MediaSettings, audio::AudioFactory},
    tls::TlsConfig,
};
use std::{
    fmt::Display,
    path::Path,
    time::{Duration, SystemTime},
};

/// Reads the options into a configuration.
pub(crate) fn read(common: &Common, media: Option<&MediaOptions>) -> Result<Config, Failure> {
    let usage = |what: &str, text: &str| {
        Failure::new(Exit::Usage, format!("{what}: {text:?} is no SIP URI"))
    };
    let seed = runtime_smol::seed()
        .map_err(|error| Failure::new(Exit::Internal, format!("no randomness: {error}")))?;
    let unix_time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut config = Config::new(seed, unix_time);
    config.addresses.extend(common.bind);
    config.udp_port = (!common.no_udp).then_some(common.udp_port);
    config.tcp_port = (!common.no_tcp).then_some(common.tcp_port);
    config.tls_port = (!common.tls.no_tls).then_some(common.tls.tls_port);
    config.tls = tls(&common.tls)?;
    config.name_servers.extend(common.dns);
    config.dns.authoritative = common.dns_authoritative;
    config.trace = common.trace || common.pcap.is_some();
    config.record = common.record_run.is_some();
    let mut account = Account::default();
    if let Some(address) = &common.account {
        account.uri = Some(uri(address).ok_or_else(|| usage("--account", address))?);
    }
    account.display_name.clone_from(&common.display_name);
    account.instance_id.clone_from(&common.instance);
    account.credentials.extend(credentials(common)?);
    if let Some(proxy) = &common.proxy {
        account.outbound_proxy = Some(uri(proxy).ok_or_else(|| usage("--proxy", proxy))?);
    }
    config.accounts.push(account);
    let session_timer = &mut config.sip.session_timer;
    if let Some(expires) = common.session_expires {
        session_timer.is_on = expires > 0;
        session_timer.expires = Some(Duration::from_secs(expires.into()));
    }
    if let Some(least) = common.min_se {
        session_timer.min_se = Duration::from_secs(least.into());
    }
    if let Some(reliable) = common.reliable {
        config.sip.reliable = match reliable {
            options::Reliability::Off => Reliability::Off,
            options::Reliability::Supported => Reliability::Supported,
            options::Reliability::Required => Reliability::Required,
        };
    }
    if let Some(timers) = common.timers {
        let known = &mut config.sip.transactions.timers;
        if let Some(t1) = timers.t1 {
            // Everything that the RFC derives from T1 follows it.
            *known = sipsimple::sip::transaction::Timers::scaled(t1);
        }
        known.t2 = timers.t2.unwrap_or(known.t2);
        known.t4 = timers.t4.unwrap_or(known.t4);
    }
    if let Some(media) = media {
        if !media.codecs.is_empty() {
            config.media.codecs = codecs(&media.codecs)?;
        }
        config.media.digits = match media.dtmf_mode {
            options::DtmfMode::Rfc4733 => DigitMode::Rfc4733,
            options::DtmfMode::Info => DigitMode::Info,
        };
        config.media.encryption = match media.srtp {
            options::Srtp::Off => Encryption::Off,
            options::Srtp::Optional => Encryption::SdesOptional,
            options::Srtp::Mandatory => Encryption::SdesMandatory,
            options::Srtp::Opportunistic => Encryption::Opportunistic,
            options::Srtp::Dtls => Encryption::DtlsMandatory,
        };
        ice(&media.way, &mut config.media)?;
    }
    config.factories.push(Box::new(AudioFactory::new()));
    Ok(config)
}

/// How media find their way.
fn ice(options: &IceOptions, media: &mut MediaSettings) -> Result<(), Failure> {
    media.ice = options.ice;
    media.ice_allow_loopback = options.ice_loopback;
    media
        .ice_interfaces
        .without_names
        .clone_from(&options.ice_without);
    media.stun_servers.clone_from(&options.stun);
    if options.turn.is_empty() {
        return Ok(());
    }
    let password = password(
        "--turn-password-file",
        options.turn_password_file.as_deref(),
        "SIPSIMPLE_TURN_PASSWORD",
    )?;
    let password = password.ok_or_else(|| {
        let text = "--turn needs --turn-password-file or SIPSIMPLE_TURN_PASSWORD";
        Failure::new(Exit::Usage, text)
    })?;
    for server in &options.turn {
        let mut server = server.clone();
        server.username = options.turn_user.clone().unwrap_or_default();
        server.password.clone_from(&password);
        media.turn_servers.push(server);
    }
    if options.relay_only {
        media.ice_policy = IcePolicy::RelayOnly;
    }
    Ok(())
}

/// What is trusted and shown; `None` if TLS is off.
pub(crate) fn tls(options: &Tls) -> Result<Option<TlsConfig>, Failure> {
    if options.no_tls {
        return Ok(None);
    }
    let mut config = match &options.tls_ca {
        Some(path) => tls::config_with(path).map_err(|error| unusable("--tls-ca", path, &error))?,
        None => tls::config(),
    };
    if let Some(certificate) = &options.tls_cert {
        let key = options.tls_key.as_ref().unwrap_or(certificate);
        let identity = tls::identity(certificate, key);
        let named = |error| unusable("--tls-cert, --tls-key", certificate, &error);
        config.identity = Some(identity.map_err(named)?);
    }
    config.verify = !options.insecure_tls;
    config.allow_wildcard = options.tls_wildcard;
    config.name.clone_from(&options.tls_name);
    Ok(Some(config))
}

/// The failure of a file that an option names.
pub(crate) fn unusable(option: &str, path: &Path, error: &dyn Display) -> Failure {
    Failure::new(
        Exit::Configuration,
        format!("{option}: {}: {error}", path.display()),
    )
}

/// The first line of a file, which says something, else a variable of the environment.
fn password(option: &str, file: Option<&Path>, variable: &str) -> Result<Option<String>, Failure> {
    match file {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| unusable(option, path, &error))?;
            match text.lines().next() {
                Some(line) if !line.is_empty() => Ok(Some(line.to_owned())),
                _ => Err(unusable(option, path, &"its first line is no password")),
            }
        }
        None => Ok(std::env::var(variable).ok()),
    }
}

/// What answers challenges, if there is a password.
fn credentials(common: &Common) -> Result<Option<Credentials>, Failure> {
    let password = password(
        "--password-file",
        common.password_file.as_deref(),
        "SIPSIMPLE_PASSWORD",
    )?;
    let Some(password) = password else {
        return Ok(None);
    };
    let account = common.account.as_deref().and_then(uri);
    let of_account = account
        .as_ref()
        .and_then(|uri| uri.user().map(str::to_owned));
    let Some(user) = common.auth_user.clone().or(of_account) else {
        return Err(Failure::new(
            Exit::Usage,
            "a password needs --auth-user, or --account with a user",
        ));
    };
    Ok(Some(Credentials::new(
        &common.auth_realm,
        user,
        Secret::Password(password),
    )))
}

/// Reads a SIP URI; a bare `user@host` is one.
pub(crate) fn uri(text: &str) -> Option<sipsimple::sip::Uri> {
    let has_scheme = ["sip:", "sips:", "tel:"].iter().any(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    match has_scheme {
        true => text.parse().ok(),
        false => format!("sip:{text}").parse().ok(),
    }
}

fn codecs(names: &[String]) -> Result<Vec<Codec>, Failure> {
    let find = |name: &String| {
        let known = audio::codec::supported()
            .iter()
            .find(|known| known.name.eq_ignore_ascii_case(name));
        let known = known
            .ok_or_else(|| Failure::new(Exit::Usage, format!("--codecs: no codec {name:?}")))?;
        Ok(Codec {
            name: known.name.to_owned(),
            clock_rate: known.clock_rate,
            channels: u8::try_from(known.channels).unwrap_or(1),
            payload_type: known.payload_type,
            fmtp: None,
        })
    };
    names.iter().map(find).collect()
}
