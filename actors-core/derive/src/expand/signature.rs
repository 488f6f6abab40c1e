//! The signature of a method: what its message is made of, or why it can have none.

use proc_macro2::Ident;
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, Pat, PatType, Path, PathArguments, Receiver,
    ReturnType, Signature, Type, parse_quote_spanned,
};

use crate::attr::MessageOptions;
use crate::faults::Faults;
use crate::name::{hides_the_prelude, message_name};
use crate::owned::{Reason, make_owned};
use crate::self_type::NameSelf;

/// One argument of the method, and where its handler gets it from.
pub(crate) enum Arg {
    Context,
    Message,
    Field(Ident),
}

/// A message type that is made for the method.
pub(crate) struct NewMessage {
    pub(crate) name: Ident,
    pub(crate) fields: Vec<Field>,
    pub(crate) derives: Vec<Path>,
}

pub(crate) struct Field {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

/// Reads a signature and reports what does not fit.
pub(crate) struct SignatureReader<'a> {
    pub(crate) actor: &'a Type,
    pub(crate) faults: &'a mut Faults,
}

impl SignatureReader<'_> {
    /// Checks what stands around the parameters; nothing where no message can be made.
    pub(crate) fn check(&mut self, sig: &Signature) -> Option<()> {
        let Some(receiver) = sig.receiver() else {
            self.faults.at(
                &sig.ident,
                "a function without `self` cannot be a message handler; move it to a plain `impl` \
                 block or mark it #[skip]",
            );
            return None;
        };
        if !borrows_actor(receiver) {
            self.faults.at(
                receiver,
                "a handler borrows the actor, which goes on afterwards; take `&mut self` or \
                 `&self`, or mark the method #[skip]",
            );
        }
        if let Some(unsafety) = &sig.unsafety {
            self.faults.at(
                unsafety,
                "a message can come from anyone, so its handler cannot be `unsafe`; mark the \
                 method #[skip]",
            );
        }
        let generic = |param: &&GenericParam| !matches!(param, GenericParam::Lifetime(_));
        if let Some(param) = sig.generics.params.iter().find(generic) {
            self.faults.at(
                param,
                "a generic method has no single message type; name the type here, make the actor \
                 generic, or mark the method #[skip]",
            );
            return None;
        }
        Some(())
    }

    /// The one parameter of an `#[on]` method that is not the context.
    pub(crate) fn existing_message(&mut self, sig: &Signature) -> (Vec<Arg>, Option<Type>) {
        let (mut args, mut messages) = (Vec::new(), Vec::new());
        for param in sig.inputs.iter().filter_map(typed) {
            if is_context(&param.ty) {
                args.push(Arg::Context);
                continue;
            }
            args.push(Arg::Message);
            messages.push(param);
        }
        let message = match messages[..] {
            [] => {
                self.faults
                    .at(&sig.ident, "#[on] needs a parameter with the message");
                None
            }
            [param] => {
                let faults_before = self.faults.len();
                let ty = self.parameter(&param.ty);
                ty.filter(|_| self.faults.len() == faults_before)
            }
            [_, second, ..] => {
                self.faults.at(
                    second,
                    "#[on] handles one message; remove this parameter, or remove #[on] to make a \
                     message of all of them",
                );
                None
            }
        };
        (args, message)
    }

    /// A message with the parameters as its fields.
    pub(crate) fn new_message(
        &mut self,
        sig: &mut Signature,
        options: MessageOptions,
    ) -> (Vec<Arg>, Option<NewMessage>) {
        let (mut args, mut fields) = (Vec::new(), Some(Vec::new()));
        for param in sig.inputs.iter_mut().filter_map(typed_mut) {
            if is_context(&param.ty) {
                args.push(Arg::Context);
                continue;
            }
            if is_context_itself(&param.ty) {
                self.faults.at(
                    &param.ty,
                    "the context is lent to a handler; take `&mut Context<Self>`",
                );
                fields = None;
                continue;
            }
            let field = self.field(param);
            args.extend(field.iter().map(|field| Arg::Field(field.name.clone())));
            fields = fields.zip(field).map(|(mut fields, field)| {
                fields.push(field);
                fields
            });
        }
        let name = options.name.or_else(|| self.message_name(&sig.ident));
        let message = name.zip(fields).map(|(name, fields)| NewMessage {
            name,
            fields,
            derives: options.derives,
        });
        (args, message)
    }

    fn message_name(&mut self, method: &Ident) -> Option<Ident> {
        let Some(name) = message_name(method) else {
            self.faults.at(
                method,
                "this gives no name for a message type; add `#[message(Name)]`",
            );
            return None;
        };
        if hides_the_prelude(&name) {
            self.faults.at(
                method,
                format!(
                    "a message named `{name}` would hide the standard library's in this module; \
                     add `#[message(Name)]`"
                ),
            );
            return None;
        }
        Some(name)
    }

    fn field(&mut self, param: &mut PatType) -> Option<Field> {
        // Docs are allowed on a field but not on a parameter, so here they can be written at all.
        let (docs, attrs) = std::mem::take(&mut param.attrs)
            .into_iter()
            .partition(|attr| attr.path().is_ident("doc"));
        param.attrs = attrs;
        if let Some(attr) = param.attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
            self.faults.at(
                attr,
                "a message has the same fields everywhere; move this to the method",
            );
        }
        let ty = self.parameter(&param.ty);
        match &*param.pat {
            Pat::Ident(pat) if pat.subpat.is_none() => Some(Field {
                docs,
                name: pat.ident.clone(),
                ty: ty?,
            }),
            pat => {
                self.faults.at(
                    pat,
                    "give this parameter a plain name: it becomes a field of the message",
                );
                None
            }
        }
    }

    fn parameter(&mut self, ty: &Type) -> Option<Type> {
        self.owned(ty.clone(), |reason| match reason {
            Reason::Borrows(instead) => {
                format!("a message outlives its sender's stack, so it cannot borrow; {instead}")
            }
            Reason::Unnamed => {
                "a message has one type, so no parameter can be `impl Trait`; name the type".into()
            }
        })
    }

    pub(crate) fn reply(&mut self, sig: &Signature) -> Option<Type> {
        let ty = match &sig.output {
            ReturnType::Default => return Some(parse_quote_spanned!(sig.ident.span()=> ())),
            ReturnType::Type(_, ty) => Type::clone(ty),
        };
        self.owned(ty, |reason| match reason {
            Reason::Borrows(instead) => {
                format!("a reply outlives the handler's borrow of the actor; {instead}")
            }
            Reason::Unnamed => {
                "a message has one type of reply, so it cannot be `impl Trait`; name the type or \
                 `Box` it"
                    .into()
            }
        })
    }

    fn owned(&mut self, mut ty: Type, text: impl Fn(Reason) -> String) -> Option<Type> {
        NameSelf(self.actor).visit_type_mut(&mut ty);
        let Some(unfit) = make_owned(&mut ty) else {
            return Some(ty);
        };
        let is_named = !matches!(unfit.reason, Reason::Unnamed);
        self.faults.at(unfit.tokens, text(unfit.reason));
        is_named.then_some(ty)
    }
}

fn borrows_actor(receiver: &Receiver) -> bool {
    match &*receiver.ty {
        Type::Reference(reference) => {
            matches!(&*reference.elem, Type::Path(it) if it.path.is_ident("Self"))
        }
        _ => false,
    }
}

/// Whether the parameter is `Context<Self>`, which is a slip; other types may have that name, too.
fn is_context_itself(ty: &Type) -> bool {
    let Type::Path(ty) = ty else {
        return false;
    };
    let Some(last) = ty.path.segments.last() else {
        return false;
    };
    let PathArguments::AngleBracketed(of) = &last.arguments else {
        return false;
    };
    last.ident == "Context"
        && matches!(of.args.first(), Some(GenericArgument::Type(Type::Path(it))) if it.path.is_ident("Self"))
}

/// Whether the parameter is `&mut Context<Self>`, under any path.
fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    let Type::Path(target) = &*reference.elem else {
        return false;
    };
    target
        .path
        .segments
        .last()
        .is_some_and(|it| it.ident == "Context")
}

fn typed(arg: &FnArg) -> Option<&PatType> {
    match arg {
        FnArg::Typed(param) => Some(param),
        FnArg::Receiver(_) => None,
    }
}

fn typed_mut(arg: &mut FnArg) -> Option<&mut PatType> {
    match arg {
        FnArg::Typed(param) => Some(param),
        FnArg::Receiver(_) => None,
    }
}
