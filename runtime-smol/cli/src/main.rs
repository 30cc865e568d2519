//! The `sipsimple` command: one verb a job. It holds no protocol logic: whatever it needs is a public
//! interface of the library, of `audio` or of the runtimes.

#![forbid(unsafe_code)]

mod agent;
mod config;
mod described;
mod ladder;
mod log;
mod media;
mod options;
mod outcome;
mod print;
mod recording;
mod runtime;
mod secret;
mod verb;
mod wire;

use clap::Parser as _;
use options::{Cli, Verb};
use outcome::{Exit, Failure};
use print::Printer;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A message that cannot be printed changes nothing about the exit code.
            let _ = error.print();
            let is_help = !error.use_stderr();
            return if is_help {
                Exit::Done.into()
            } else {
                Exit::Usage.into()
            };
        }
    };
    log::start(cli.common.verbose);
    let printer = Printer::new(&cli.common);
    let result = match &cli.verb {
        Verb::Demo(options) => verb::demo::run(&cli.common, options, &printer),
        Verb::Call(options) => verb::call::run(&cli.common, options, &printer),
        Verb::Answer(options) => verb::answer::run(&cli.common, options, &printer),
        Verb::Register(options) => verb::register::run(&cli.common, options, &printer),
        Verb::Message(options) => verb::message::send(&cli.common, options, &printer),
        Verb::ReceiveMessages(options) => verb::message::receive(&cli.common, options, &printer),
        Verb::Publish(options) => verb::publish::run(&cli.common, options, &printer),
        Verb::Subscribe(options) => verb::subscribe::run(&cli.common, options, &printer),
        Verb::Options(options) => verb::options::run(&cli.common, options, &printer),
        Verb::Dns(options) => verb::dns::run(&cli.common, options, &printer),
        Verb::Tls(options) => verb::tls::run(&cli.common, options, &printer),
        Verb::Nat(options) => verb::nat::run(&cli.common, options, &printer),
        Verb::Bench(options) => verb::bench::run(options, &printer),
        Verb::Replay(options) => verb::replay::run(options, &printer),
    };
    let exit = match &result {
        Ok(_) => Exit::Done,
        Err(Failure { exit, .. }) => *exit,
    };
    printer.result(&result);
    exit.into()
}
