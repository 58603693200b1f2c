//! Linking: imports are matched with what the host offers, and exports with the contract, before anything runs.

use wasmtime::Trap;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{InstancePre, Linker, ResourceType};

use super::{Code, Prepared};
use crate::bindings::{Failure, Input, Output};
use crate::compile::{OFFERED, Offers, missing};
use crate::component::{World, one_line};
use crate::linker;
use crate::outcome::{Refusal, Stop};
use crate::state::State;

/// Matches imports and checks that exports have the types of the contract.
pub(super) fn link_code<E: Send + 'static>(
    code: &Code,
    prepared: &Prepared<E>,
    offers: Offers,
) -> Result<InstancePre<State<E>>, Stop> {
    let Code { component, facts, .. } = code;
    // Now and not in the first invocation; where it can't be done here it is tried again there.
    let _ = component.initialize_copy_on_write_image();
    if !offers.extended && !offers.open {
        missing(facts)?;
    }
    let pre = match offers.open {
        true => {
            let mut linker = Linker::clone(&prepared.linker);
            trap_unknown(&mut linker, component).and_then(|()| linker.instantiate_pre(component))
        }
        false => prepared.linker.instantiate_pre(component),
    };
    let pre = pre.map_err(|error| {
        let message = format!("an import doesn't match what the host offers: {}", one_line(&error));
        Stop::refused(Refusal::Import, message, OFFERED)
    })?;
    fits(facts.world, &pre)?;
    Ok(pre)
}

/// Lets every import trap that the host doesn't offer. What it offers stays whole: a resource that one of its interfaces
/// takes from another one must stay the same.
fn trap_unknown<E: Send + 'static>(
    linker: &mut Linker<State<E>>,
    component: &wasmtime::component::Component,
) -> wasmtime::Result<()> {
    /// Stands in for every resource that nobody offers.
    struct Unknown;
    let engine = linker.engine().clone();
    for (name, item) in component.component_type().imports(&engine) {
        match item.ty {
            _ if linker::offers(name) => {}
            ComponentItem::ComponentFunc(_) => {
                linker.root().func_new(name, |_, _, _, _| Err(Trap::UnreachableCodeReached.into()))?;
            }
            ComponentItem::ComponentInstance(instance) => {
                let mut inside = linker.instance(name)?;
                for (export, item) in instance.exports(&engine) {
                    match item.ty {
                        ComponentItem::ComponentFunc(_) => {
                            inside.func_new(export, |_, _, _, _| Err(Trap::UnreachableCodeReached.into()))?;
                        }
                        ComponentItem::Resource(_) => {
                            inside.resource(export, ResourceType::host::<Unknown>(), |_, _| Ok(()))?;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the export that makes a component one of a world has that world's type, before anything of it runs.
fn fits<E: 'static>(world: World, pre: &InstancePre<State<E>>) -> Result<(), Stop> {
    let (component, engine) = (pre.component().component_type(), pre.engine());
    let Some((name, export)) = component.exports(engine).find(|(name, _)| world.is_told_by(name)) else {
        return Ok(());
    };
    let run = match export.ty {
        ComponentItem::ComponentInstance(instance) => instance.get_export(engine, "run").map(|export| export.ty),
        _ => None,
    };
    let types = component.instance_type();
    let checked = match (world, run) {
        (World::Http | World::Custom, _) => Ok(()),
        (World::Sandbox, Some(ComponentItem::ComponentFunc(run))) => {
            run.typecheck::<(Input,), (Result<Output, Failure>,)>(&types)
        }
        (World::Command, Some(ComponentItem::ComponentFunc(run))) => run.typecheck::<(), (Result<(), ()>,)>(&types),
        _ => Err(wasmtime::format_err!("it has no function `run`")),
    };
    checked.map_err(|error| {
        let message = format!("the export `{name}` has another type than the contract: {}", one_line(&error));
        Stop::refused(Refusal::World, message, "build the guest against the WIT of that version")
    })
}
