//! baresip: a softphone with speech from a file, told what to do over its control port.

use crate::{
    Lab, Outcome,
    authority::NEW_KEY,
    network::Place,
    process::{self, Process},
};
use serde_json::{Value, json};
use std::{
    env, fs,
    io::{Read, Write},
    net::{IpAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// A running baresip.
#[derive(Debug)]
pub(crate) struct Baresip {
    process: Process,
    control: TcpStream,
    inbox: Arc<Inbox>,
    next: usize,
    directory: PathBuf,
}

/// How it shall run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) name: &'a str,
    /// Where it runs.
    pub(crate) place: &'a Place,
    /// Where it listens for SIP over UDP and TCP.
    pub(crate) port: u16,
    pub(crate) codec: &'a str,
    /// What it says: 8 kHz, mono.
    pub(crate) speech: &'a Path,
    /// Takes calls by itself.
    pub(crate) takes_calls: bool,
    /// Further parameters of its account, each with its semicolon; they go before those of ours.
    pub(crate) account: &'a str,
    /// The certificate with its key that it shows over TLS, at the port above.
    pub(crate) identity: Option<&'a Path>,
    /// RTCP may share the port of RTP (RFC 5761).
    pub(crate) is_muxed: bool,
}

/// Something it told: `CALL_ESTABLISHED` and the like.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) kind: String,
    pub(crate) parameter: String,
}

impl Baresip {
    /// Starts it, and waits until it can be told what to do.
    pub(crate) fn start(lab: &Lab, setup: Setup<'_>) -> Outcome<Self> {
        let directory = lab.directory.join(setup.name);
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        fs::create_dir_all(&directory).map_err(failed)?;
        fs::write(directory.join("config"), config(&directory, setup)).map_err(failed)?;
        let answers = if setup.takes_calls { "auto" } else { "manual" };
        let account = format!(
            "<sip:bob@{}:{}>{};regint=0;answermode={answers};audio_codecs={}\n",
            setup.place.host(),
            setup.port,
            setup.account,
            setup.codec
        );
        fs::write(directory.join("accounts"), account).map_err(failed)?;
        fs::write(directory.join("contacts"), "").map_err(failed)?;
        let mut command = match setup.account.contains("mediaenc=dtls_srtp") {
            true => with_ecdsa(setup.place, &directory)?,
            false => setup.place.command("baresip"),
        };
        command.arg("-f").arg(&directory).args(["-s", "-v"]);
        if setup.place.address().is_ipv6() {
            command.arg("-6");
        }
        let process = Process::start(&format!("{}.baresip", setup.name), command, &lab.directory)?;
        let control = connect(setup.place.address(), setup.port + CONTROL)?;
        let inbox = Arc::new(Inbox::default());
        let (reader, shared) = (
            control.try_clone().map_err(|error| error.to_string())?,
            Arc::clone(&inbox),
        );
        thread::spawn(move || shared.fill(reader));
        Ok(Self {
            process,
            control,
            inbox,
            next: 0,
            directory,
        })
    }

    /// Tells it to do something.
    pub(crate) fn tell(&mut self, command: &str, parameters: &str) -> Outcome<()> {
        let text = json!({"command": command, "params": parameters, "token": command}).to_string();
        let sent = self
            .control
            .write_all(format!("{}:{text},", text.len()).as_bytes());
        sent.map_err(|error| format!("baresip's control port: {error}"))?;
        let answered = self.inbox.wait(&mut 0, PATIENCE, |value| {
            (value["response"] == true && value["token"] == command).then(|| value["ok"] == true)
        });
        match answered {
            Some(true) => Ok(()),
            Some(false) => Err(format!("baresip refuses to {command}")),
            None => Err(format!("baresip does not answer to {command}")),
        }
    }

    /// Waits for the next event of that kind.
    pub(crate) fn event(&mut self, kind: &str, limit: Duration) -> Outcome<Told> {
        let mut found = None;
        let told = self.inbox.wait(&mut self.next, limit, |value| {
            (value["type"] == kind).then_some(())
        });
        if told.is_some() {
            found = self.inbox.told(self.next - 1);
        }
        found.ok_or_else(|| format!("baresip told no {kind} within {limit:?}"))
    }

    /// Returns all events so far.
    pub(crate) fn events(&self) -> Vec<Told> {
        (0..self.inbox.len())
            .filter_map(|number| self.inbox.told(number))
            .collect()
    }

    /// Ends it, and returns the directory where it left what it heard: `*-dec.wav`.
    pub(crate) fn finish(mut self) -> Outcome<PathBuf> {
        self.process.end()?;
        Ok(self.directory.clone())
    }
}

/// The messages of the control port.
#[derive(Debug, Default)]
struct Inbox {
    values: Mutex<Vec<Value>>,
    more: Condvar,
}

impl Inbox {
    fn fill(&self, mut reader: TcpStream) {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4_096];
        while let Ok(count @ 1..) = reader.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..count]);
            while let Some((value, length)) = netstring(&bytes) {
                bytes.drain(..length);
                let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
                values.push(value);
                self.more.notify_all();
            }
        }
    }

    fn wait<T>(
        &self,
        next: &mut usize,
        limit: Duration,
        mut choose: impl FnMut(&Value) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while let Some(value) = values.get(*next) {
                *next += 1;
                if let Some(chosen) = choose(value) {
                    return Some(chosen);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            values = self
                .more
                .wait_timeout(values, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn len(&self) -> usize {
        self.values
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn told(&self, number: usize) -> Option<Told> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.get(number)?;
        Some(Told {
            kind: value["type"].as_str()?.to_owned(),
            parameter: value["param"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

/// Reads `LENGTH:JSON,`.
fn netstring(bytes: &[u8]) -> Option<(Value, usize)> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    let text = bytes.get(colon + 1..colon + 1 + length)?;
    bytes.get(colon + 1 + length)?;
    Some((
        serde_json::from_slice(text).unwrap_or(Value::Null),
        colon + length + 2,
    ))
}

/// baresip with an ECDSA certificate for its handshakes instead of its RSA one, by `baresip/ecdsa.c`.
fn with_ecdsa(place: &Place, directory: &Path) -> Outcome<Command> {
    let library = match env::var_os("BARESIP_ECDSA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/baresip-ecdsa.so"),
    };
    if !library.is_file() {
        let library = library.display();
        return Err(format!("{library} is not there: build it first"));
    }
    let identity = directory.join("ecdsa.pem");
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-days", "7", "-subj", "/CN=dtls@baresip"]);
    openssl.args(NEW_KEY).arg("-keyout").arg(&identity);
    openssl.arg("-out").arg(&identity);
    process::run(&mut openssl)?;
    // Not for whatever goes before it, which may have no libre.
    let mut command = place.command("env");
    command.arg(format!("LD_PRELOAD={}", library.display()));
    command.arg(format!("BARESIP_ECDSA_IDENTITY={}", identity.display()));
    command.arg("baresip");
    Ok(command)
}

fn connect(address: IpAddr, port: u16) -> Outcome<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect((address, port)) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => {
                return Err(format!("baresip does not start: {error}"));
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn config(directory: &Path, setup: Setup<'_>) -> String {
    let (port, control, rtp) = (setup.port, setup.port + CONTROL, setup.port + RTP);
    let (address, host) = (setup.place.address(), setup.place.host());
    let (directory, speech) = (directory.display(), setup.speech.display());
    let identity = setup.identity.map_or_else(String::new, |path| {
        format!("sip_certificate {}\n", path.display())
    });
    // Only where an account asks for them: they are in no other case.
    let nat = match setup.account.contains("medianat=") {
        true => "module ice.so\nmodule stun.so\n",
        false => "",
    };
    let encryption = match setup.account.contains("mediaenc=") {
        true => "module srtp.so\nmodule dtls_srtp.so\n",
        false => "",
    };
    let mux = if setup.is_muxed { "yes" } else { "no" };
    format!(
        "poll_method epoll\n\
         {identity}\
         sip_listen {host}:{port}\n\
         call_local_timeout 120\n\
         call_max_calls 4\n\
         audio_source aufile,{speech}\n\
         audio_player aubridge,nobody\n\
         ausrc_srate 8000\n\
         auplay_srate 8000\n\
         ausrc_channels 1\n\
         auplay_channels 1\n\
         audio_level no\n\
         ausrc_format s16\n\
         auplay_format s16\n\
         auenc_format s16\n\
         audec_format s16\n\
         rtp_ports {rtp}-{last}\n\
         rtcp_mux {mux}\n\
         jitter_buffer_delay 5-10\n\
         rtp_timeout 60\n\
         net_interface {address}\n\
         module_path /usr/lib/baresip/modules\n\
         module g711.so\n\
         {encryption}\
         module aufile.so\n\
         module aubridge.so\n\
         module sndfile.so\n\
         {nat}\
         module_app account.so\n\
         module_app contact.so\n\
         module_app debug_cmd.so\n\
         module_app ctrl_tcp.so\n\
         module_app menu.so\n\
         ctrl_tcp_listen {host}:{control}\n\
         snd_path {directory}\n",
        last = rtp + 19
    )
}

/// Ports relative to that of SIP; the next one is that of SIP over TLS.
const CONTROL: u16 = 2;
const RTP: u16 = 10;
/// For anything that is quick.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netstrings_are_cut() {
        let bytes = b"7:{\"a\":1},3:";
        assert_eq!(netstring(bytes), Some((json!({"a": 1}), 10)));
        assert_eq!(netstring(&bytes[..9]), None);
        assert_eq!(netstring(&bytes[10..]), None);
    }
}
