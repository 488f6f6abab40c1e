//! `#[task]`: a function, and beside it a type of the same name whose values are calls of it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{FnArg, Item, ItemFn, Pat, ReturnType, Type, parse_quote};

use super::shown_at;
use crate::attr::TaskOptions;
use crate::faults::Faults;
use crate::owned::{Reason, make_owned};

pub(crate) fn task(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let options = TaskOptions::read(args, &mut faults);
    let mut function = match faults.keep(syn::parse2(item.clone())) {
        Some(Item::Fn(function)) => function,
        Some(_) => {
            faults.at_span(Span::call_site(), "#[task] belongs on a function");
            return quote!(#item #faults);
        }
        None => return quote!(#item #faults),
    };
    check_signature(&function, &mut faults);
    let params = params(&function, &mut faults);
    if !function.sig.generics.params.is_empty() {
        // Nothing that is made of it could mean anything.
        return quote!(#function #faults);
    }
    // What travels is owned, whatever becomes of it here.
    let allow = parse_quote!(#[allow(clippy::needless_pass_by_value)]);
    function.attrs.push(allow);
    let call = call(&function, &options, &params, faults.is_empty());
    quote!(#function #faults #call)
}

/// The names and types of the parameters.
type Params = (Vec<Ident>, Vec<Type>);

fn check_signature(function: &ItemFn, faults: &mut Faults) {
    let sig = &function.sig;
    if let Some(first) = sig.generics.params.first() {
        faults.at(
            first,
            "another process finds a task by its name alone, so it has no parameters of this kind; \
             write a task for each type",
        );
    }
    if let Some(asyncness) = &sig.asyncness {
        faults.at(
            asyncness,
            "a task is not `async`: it has a worker of its own, and may block",
        );
    }
    if let Some(unsafety) = &sig.unsafety {
        faults.at(
            unsafety,
            "nothing promises what an `unsafe` function asks for; remove `unsafe`",
        );
    }
}

fn params(function: &ItemFn, faults: &mut Faults) -> Params {
    let (mut names, mut types) = (Vec::new(), Vec::new());
    for (at, input) in function.sig.inputs.iter().enumerate() {
        let param = match input {
            FnArg::Typed(param) => param,
            FnArg::Receiver(receiver) => {
                faults.at(receiver, "a task is a function of its own, not a method");
                continue;
            }
        };
        let mut ty = (*param.ty).clone();
        if let Some(unfit) = make_owned(&mut ty) {
            let text = match unfit.reason {
                Reason::Borrows(instead) => {
                    format!("what goes to another process cannot be borrowed; {instead}")
                }
                Reason::Unnamed => "what goes to another process has a type with a name".to_owned(),
            };
            faults.at(unfit.tokens, text);
        }
        names.push(match &*param.pat {
            Pat::Ident(name) => name.ident.clone(),
            _ => format_ident!("arg{at}"),
        });
        types.push(ty);
    }
    (names, types)
}

fn call(
    function: &ItemFn,
    options: &TaskOptions,
    (names, types): &Params,
    is_sound: bool,
) -> TokenStream {
    let (vis, name) = (&function.vis, &function.sig.ident);
    let span = shown_at(name.span());
    let output = match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => quote!(#ty),
    };
    let path = match &options.name {
        Some(path) => quote!(#path),
        None => quote!(::core::concat!(
            ::core::module_path!(),
            "::",
            ::core::stringify!(#name)
        )),
    };
    let of_type = format!(" A call of the task `{name}`: a job for a pool.");
    let of_job = format!(" A call of `{name}` with these arguments, to be run by a pool.");
    let slots = names
        .iter()
        .map(|name| Ident::new(&name.to_string(), name.span()));
    let slots: Vec<_> = slots.collect();
    let run = if is_sound {
        quote_spanned!(span=> { let (#(#slots,)*) = self.args; #name(#(#slots),*) })
    } else {
        quote!({ ::core::unreachable!() })
    };
    // Beside an error, it is a task that takes nothing, so that this error is the only one.
    let task = if is_sound {
        quote_spanned! {span=>
            type Args = (#(#types,)*);
            fn args(&self) -> &(#(#types,)*) {
                &self.args
            }
            fn from_args(args: (#(#types,)*)) -> Self {
                Self { args }
            }
        }
    } else {
        quote_spanned! {span=>
            type Args = ();
            fn args(&self) -> &() {
                &()
            }
            fn from_args((): ()) -> Self {
                ::core::unreachable!()
            }
        }
    };
    let entry = is_sound.then(|| {
        quote! {
            ::actors_net::__private::submit! {
                ::actors_net::__private::Entry::of::<#name>()
            }
        }
    });
    quote_spanned! {span=>
        #[doc = #of_type]
        #[allow(non_camel_case_types)]
        #vis struct #name {
            args: (#(#types,)*),
        }

        impl #name {
            #[doc = #of_job]
            #[allow(clippy::too_many_arguments, dead_code)]
            #vis fn job(#(#slots: #types),*) -> Self {
                Self { args: (#(#slots,)*) }
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<(#(#types,)*)> for #name {
            fn from(args: (#(#types,)*)) -> Self {
                Self { args }
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(::core::stringify!(#name)).finish_non_exhaustive()
            }
        }

        #[automatically_derived]
        impl ::actors_net::__private::Job for #name {
            type Output = #output;
            fn run(self) -> #output #run
        }

        #[automatically_derived]
        impl ::actors_net::Task for #name {
            const NAME: &'static str = #path;
            #task
        }

        #entry
    }
}
