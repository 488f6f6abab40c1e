//! The arguments of `#[handlers]`.

use proc_macro2::{Ident, TokenStream};
use syn::parse::Parser;

use crate::faults::Faults;

/// What `#[handlers(..)]` asks for.
#[derive(Default)]
pub(crate) struct HandlersOptions {
    pub(crate) threads: Threads,
    pub(crate) api: ApiTrait,
}

/// Where an actor may run, which decides between two sets of traits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Threads {
    /// `Actor` and `Handler`.
    #[default]
    Any,
    /// `LocalActor` and `LocalHandler`.
    One,
}

/// The trait that has the messages as methods.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum ApiTrait {
    /// Named after the actor.
    #[default]
    Default,
    Named(Ident),
    Left,
}

impl HandlersOptions {
    pub(crate) fn read(args: TokenStream, faults: &mut Faults) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            let api = if meta.path.is_ident("local") {
                options.threads = Threads::One;
                return Ok(());
            } else if meta.path.is_ident("api") {
                let name = meta.value().and_then(|value| value.parse());
                ApiTrait::Named(name.map_err(|error| {
                    syn::Error::new(error.span(), "write the name of the trait: `api = Name`")
                })?)
            } else if meta.path.is_ident("no_api") {
                ApiTrait::Left
            } else {
                return Err(meta.error(
                    "unknown option; `#[handlers]` knows `local`, `api = Name` and `no_api`",
                ));
            };
            if options.api != ApiTrait::Default {
                return Err(meta.error("say once what the trait is: `api = Name` or `no_api`"));
            }
            options.api = api;
            Ok(())
        });
        faults.keep(parser.parse2(args));
        options
    }
}

#[cfg(test)]
mod tests {
    use quote::{format_ident, quote};

    use super::*;

    fn read(args: TokenStream) -> (HandlersOptions, Vec<String>) {
        let mut faults = Faults::default();
        let options = HandlersOptions::read(args, &mut faults);
        (options, faults.texts())
    }

    #[test]
    fn options_are_read() {
        let (options, faults) = read(quote!(local, api = Bank));
        assert_eq!((options.threads, faults.len()), (Threads::One, 0));
        assert_eq!(options.api, ApiTrait::Named(format_ident!("Bank")));
        let (options, faults) = read(quote!(no_api));
        assert_eq!((options.threads, faults.len()), (Threads::Any, 0));
        assert_eq!(options.api, ApiTrait::Left);
    }

    #[test]
    fn mistakes_are_named_and_the_rest_is_kept() {
        let (options, faults) = read(quote!(local, remote));
        assert_eq!(options.threads, Threads::One);
        assert!(faults[0].starts_with("unknown option"), "{faults:?}");
        let (_, faults) = read(quote!(no_api, api = Bank));
        assert!(faults[0].starts_with("say once"), "{faults:?}");
    }
}
