//! One method below `#[handlers]`, read into what its message and its handler need to know.

use proc_macro2::Ident;
use syn::{Attribute, ImplItemFn, Type, Visibility, parse_quote};

use super::signature::{Arg, NewMessage, SignatureReader};
use crate::attr::{MethodOptions, Role};
use crate::faults::Faults;

/// A method that handles a message.
pub(crate) struct Method {
    pub(crate) name: Ident,
    pub(crate) vis: Visibility,
    pub(crate) is_async: bool,
    pub(crate) abort_on_cancel: bool,
    pub(crate) inline_ask: Option<Attribute>,
    pub(crate) args: Vec<Arg>,
    pub(crate) message: Message,
    pub(crate) reply: Type,
    /// When the method is there at all.
    pub(crate) cfgs: Vec<Attribute>,
    /// What readers and the compiler are told of it.
    pub(crate) notes: Vec<Attribute>,
    /// False beside a fault: the items are made, but none may call the method.
    pub(crate) is_sound: bool,
}

pub(crate) enum Message {
    Existing(Type),
    New(NewMessage),
}

impl Method {
    /// Takes our attributes off the method and reads the rest; nothing where there is no message.
    pub(crate) fn read(method: &mut ImplItemFn, actor: &Type, faults: &mut Faults) -> Option<Self> {
        let options = MethodOptions::take(&mut method.attrs, faults);
        let faults_before = faults.len();
        let mut reader = SignatureReader { actor, faults };
        let (args, message, reply) = match options.role {
            Role::Skip => return None,
            Role::On => {
                reader.check(&method.sig)?;
                let (args, message) = reader.existing_message(&method.sig);
                (
                    args,
                    message.map(Message::Existing),
                    reader.reply(&method.sig),
                )
            }
            Role::Message(options) => {
                reader.check(&method.sig)?;
                let (args, message) = reader.new_message(&mut method.sig, options);
                (args, message.map(Message::New), reader.reply(&method.sig))
            }
        };
        // A handler has `self` and owns its parameters whether it needs that or not.
        method.attrs.push(parse_quote! {
            #[allow(clippy::needless_pass_by_value, clippy::unused_self)]
        });
        let is_async = method.sig.asyncness.is_some();
        if let Some(attr) = options.abort_on_cancel.as_ref().filter(|_| !is_async) {
            faults.at(
                attr,
                "only an `async` method has an await to stop at; remove #[abort_on_cancel]",
            );
        }
        let pick = |names: &[&str]| {
            let wanted = |attr: &&Attribute| names.iter().any(|name| attr.path().is_ident(name));
            method.attrs.iter().filter(wanted).cloned().collect()
        };
        Some(Self {
            name: method.sig.ident.clone(),
            vis: method.vis.clone(),
            is_async,
            abort_on_cancel: is_async && options.abort_on_cancel.is_some(),
            inline_ask: options.inline_ask,
            args,
            message: message?,
            reply: reply?,
            cfgs: pick(&["cfg"]),
            notes: pick(&["doc", "deprecated"]),
            is_sound: faults.len() == faults_before,
        })
    }
}
