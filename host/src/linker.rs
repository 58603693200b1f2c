//! The only list of what a guest can import, and the only place where interfaces are linked.
//!
//! Every interface of the list is always linked, whatever the policy grants: a program that merely mentions sockets
//! must still start. What isn't granted answers with an error and is counted. Each getter counts its call first, since
//! the engine runs it exactly once for each host call.

use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random as wasi_random, sockets};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};
use wasmtime_wasi_http::WasiHttp;
use wasmtime_wasi_http::p2::bindings::http::types as http_types;

use crate::bindings::sandbox::host::{config as pure_config, log};
use crate::bindings::wasi::{config::store, keyvalue, logging::logging};
use crate::capability::clocks::Clocks;
use crate::capability::config::Config;
use crate::capability::environment::Environment;
use crate::capability::errors::Errors;
use crate::capability::filesystem::Filesystem;
use crate::capability::keyvalue::KeyValue;
use crate::capability::logging::Logging;
use crate::capability::random::Random;
use crate::capability::sockets::Sockets;
use crate::state::State;

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Declares the interfaces and links all those that have a generated `add_to_linker` without options.
macro_rules! interfaces {
    (
        $($variant:ident = $name:literal => $($path:ident)::+ as $data:ty, |$state:ident| $view:expr;)*
        ; by hand: $($hand:ident = $hand_name:literal;)*
    ) => {
        /// One interface that the host offers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Interface { $($variant,)* $($hand,)* }

        impl Interface {
            pub(crate) const NAMES: &[&str] = &[$($name,)* $($hand_name,)*];
            pub(crate) const COUNT: usize = Self::NAMES.len();
        }

        fn link_list<E: Send + 'static>(linker: &mut Linker<State<E>>) -> wasmtime::Result<()> {
            $($($path)::+::add_to_linker::<State<E>, $data>(linker, |$state| {
                $state.called(Interface::$variant as usize);
                $view
            })?;)*
            Ok(())
        }
    };
}

interfaces! {
    IoError = "wasi:io/error" => io::error as Errors, |s| s.errors();
    IoPoll = "wasi:io/poll" => io::poll as Io, |s| &mut s.table;
    IoStreams = "wasi:io/streams" => io::streams as Io, |s| &mut s.table;
    WallClock = "wasi:clocks/wall-clock" => clocks::wall_clock as WasiClocks, |s| s.clocks();
    MonotonicClock = "wasi:clocks/monotonic-clock" => clocks::monotonic_clock as Clocks, |s| s.clocks_view();
    Random = "wasi:random/random" => wasi_random::random as Random, |s| s.random();
    Insecure = "wasi:random/insecure" => wasi_random::insecure as Random, |s| s.random();
    InsecureSeed = "wasi:random/insecure-seed" => wasi_random::insecure_seed as Random, |s| s.random();
    Environment = "wasi:cli/environment" => cli::environment as Environment, |s| s.environment();
    Exit = "wasi:cli/exit" => cli::exit as WasiCli, |s| s.cli();
    Stdin = "wasi:cli/stdin" => cli::stdin as WasiCli, |s| s.cli();
    Stdout = "wasi:cli/stdout" => cli::stdout as WasiCli, |s| s.cli();
    Stderr = "wasi:cli/stderr" => cli::stderr as WasiCli, |s| s.cli();
    TerminalInput = "wasi:cli/terminal-input" => cli::terminal_input as WasiCli, |s| s.cli();
    TerminalOutput = "wasi:cli/terminal-output" => cli::terminal_output as WasiCli, |s| s.cli();
    TerminalStdin = "wasi:cli/terminal-stdin" => cli::terminal_stdin as WasiCli, |s| s.cli();
    TerminalStdout = "wasi:cli/terminal-stdout" => cli::terminal_stdout as WasiCli, |s| s.cli();
    TerminalStderr = "wasi:cli/terminal-stderr" => cli::terminal_stderr as WasiCli, |s| s.cli();
    Preopens = "wasi:filesystem/preopens" => filesystem::preopens as Filesystem, |s| s.filesystem();
    FilesystemTypes = "wasi:filesystem/types" => filesystem::types as Filesystem, |s| s.filesystem();
    InstanceNetwork = "wasi:sockets/instance-network" => sockets::instance_network as WasiSockets, |s| s.sockets();
    Tcp = "wasi:sockets/tcp" => sockets::tcp as Sockets, |s| s.sockets_view();
    TcpCreate = "wasi:sockets/tcp-create-socket" => sockets::tcp_create_socket as Sockets, |s| s.sockets_view();
    Udp = "wasi:sockets/udp" => sockets::udp as Sockets, |s| s.sockets_view();
    UdpCreate = "wasi:sockets/udp-create-socket" => sockets::udp_create_socket as Sockets, |s| s.sockets_view();
    NameLookup = "wasi:sockets/ip-name-lookup" => sockets::ip_name_lookup as Sockets, |s| s.sockets_view();
    ConfigStore = "wasi:config/store" => store as Config, |s| s.config();
    KeyValueStore = "wasi:keyvalue/store" => keyvalue::store as KeyValue, |s| s.key_value();
    KeyValueAtomics = "wasi:keyvalue/atomics" => keyvalue::atomics as KeyValue, |s| s.key_value();
    KeyValueBatch = "wasi:keyvalue/batch" => keyvalue::batch as KeyValue, |s| s.key_value();
    WasiLogging = "wasi:logging/logging" => logging as Logging, |s| s.logging();
    PureConfig = "sandbox:host/config" => pure_config as Config, |s| s.config();
    Log = "sandbox:host/log" => log as Logging, |s| s.logging();
    ; by hand:
    Network = "wasi:sockets/network";
    Budget = "sandbox:host/budget";
    HttpTypes = "wasi:http/types";
    OutgoingHandler = "wasi:http/outgoing-handler";
}

/// Links everything that the host offers.
pub(crate) fn link<E: Send + 'static>(linker: &mut Linker<State<E>>) -> wasmtime::Result<()> {
    link_list(linker)?;

    let mut options = sockets::network::LinkOptions::default();
    options.network_error_code(true);
    sockets::network::add_to_linker::<State<E>, WasiSockets>(linker, &options, |s| {
        s.called(Interface::Network as usize);
        s.sockets()
    })?;

    http_types::add_to_linker::<State<E>, WasiHttp>(linker, &http_types::LinkOptions::default(), |s| {
        s.called(Interface::HttpTypes as usize);
        s.http().types()
    })?;

    linker.allow_shadowing(true);
    linker.instance("wasi:http/types@0.2.12")?.func_wrap(
        "http-error-code",
        |mut store: StoreContextMut<'_, State<E>>, (error,): (Resource<wasmtime::Error>,)| {
            let state = store.data_mut();
            state.called(Interface::HttpTypes as usize);
            Ok((state.http().error_code(&error)?,))
        },
    )?;
    linker.allow_shadowing(false);

    // A denial can stop the guest, which the generated trait says only together with all the types of HTTP.
    linker.instance("wasi:http/outgoing-handler@0.2.12")?.func_wrap(
        "handle",
        |mut store: StoreContextMut<'_, State<E>>, (request, options): (Resource<_>, Option<Resource<_>>)| {
            let state = store.data_mut();
            state.called(Interface::OutgoingHandler as usize);
            Ok((state.http().handle(request, options)?,))
        },
    )?;

    // Fuel is the store's to say, and a generated trait sees only the store's data.
    linker.instance("sandbox:host/budget@0.1.0")?.func_wrap(
        "remaining",
        |mut store: StoreContextMut<'_, State<E>>, (): ()| {
            let metered = store.get_fuel().ok().map(fuel_left);
            let state = store.data_mut();
            state.called(Interface::Budget as usize);
            Ok((state.budget().remaining(metered),))
        },
    )?;

    // Hosts that name the version of the draft and hosts that don't are both in use.
    linker.instance("wasi:logging/logging@0.1.0-draft")?.func_wrap_async(
        "log",
        |mut store: StoreContextMut<'_, State<E>>, (level, context, message): (logging::Level, String, String)| {
            Box::new(async move {
                let state = store.data_mut();
                state.called(Interface::WasiLogging as usize);
                logging::Host::log(&mut state.logging(), level, context, message).await
            })
        },
    )?;
    Ok(())
}

/// What the engine is given for a limit on fuel: it stops a guest that has used up all of it, and a limit is what may
/// be used up.
pub(crate) fn fuel_given(limit: u64) -> u64 {
    limit.saturating_add(1)
}

/// What is left of a limit on fuel, from what the engine has left.
pub(crate) fn fuel_left(engine: u64) -> u64 {
    engine.saturating_sub(1)
}

/// Whether an import's name is one of an interface that the host offers, whatever its version.
pub(crate) fn offers(import: &str) -> bool {
    let name = import.split_once('@').map_or(import, |(name, _)| name);
    Interface::NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Interface::NAMES.iter().collect();
        assert_eq!(names.len(), Interface::COUNT);
        assert_eq!(Interface::NAMES[Interface::Budget as usize], "sandbox:host/budget");
        assert_eq!(Interface::NAMES[Interface::IoPoll as usize], "wasi:io/poll");
    }

    #[test]
    fn an_interface_is_offered_under_any_version() {
        assert!(offers("wasi:io/poll@0.2.0"));
        assert!(offers("wasi:logging/logging"));
        assert!(!offers("wasi:io/nothing@0.2.0"));
        assert!(!offers("wasi:io"));
    }
}
