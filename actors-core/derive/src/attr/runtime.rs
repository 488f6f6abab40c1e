//! The arguments of `#[main]` and `#[test]`.

use proc_macro2::{Span, TokenStream};
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, Parser};
use syn::{Lit, LitBool, LitInt, LitStr};

use crate::faults::Faults;

/// The runtime that a function wants around it.
pub(crate) struct RuntimeOptions {
    pub(crate) flavor: Flavor,
    pub(crate) worker_threads: Option<usize>,
    /// Where `start_paused = true` stands.
    pub(crate) start_paused: Option<Span>,
    /// Where `allow_panics = true` stands.
    pub(crate) allow_panics: Option<Span>,
    /// Where `no_actor_left = true` stands.
    pub(crate) no_actor_left: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flavor {
    CurrentThread,
    MultiThread,
}

/// The macro whose arguments are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Entry {
    Main,
    Test,
}

impl Entry {
    fn default_flavor(self) -> Flavor {
        match self {
            Self::Main => Flavor::MultiThread,
            Self::Test => Flavor::CurrentThread,
        }
    }

    fn options(self) -> &'static str {
        match self {
            Self::Main => "`flavor`, `worker_threads` and `start_paused`",
            Self::Test => {
                "`flavor`, `worker_threads`, `start_paused`, `allow_panics` and `no_actor_left`"
            }
        }
    }
}

impl RuntimeOptions {
    /// Reads the arguments; with a fault among them the options are the defaults.
    pub(crate) fn read(args: TokenStream, of: Entry, faults: &mut Faults) -> Self {
        let mut arguments = Arguments::default();
        let default = of.default_flavor();
        let parser = syn::meta::parser(|meta| arguments.take(&meta, of));
        let result = parser.parse2(args).and_then(|()| arguments.check(default));
        faults.keep(result).unwrap_or(Self {
            flavor: default,
            worker_threads: None,
            start_paused: None,
            allow_panics: None,
            no_actor_left: None,
        })
    }
}

/// What was written, before one argument is held against another.
#[derive(Default)]
struct Arguments {
    flavor: Option<LitStr>,
    worker_threads: Option<LitInt>,
    start_paused: Option<LitBool>,
    allow_panics: Option<LitBool>,
    no_actor_left: Option<LitBool>,
}

impl Arguments {
    fn take(&mut self, meta: &ParseNestedMeta<'_>, of: Entry) -> syn::Result<()> {
        if meta.path.is_ident("flavor") {
            literal(
                meta,
                &mut self.flavor,
                "a string: `flavor = \"multi_thread\"`",
            )
        } else if meta.path.is_ident("worker_threads") {
            literal(
                meta,
                &mut self.worker_threads,
                "a number: `worker_threads = 4`",
            )
        } else if meta.path.is_ident("start_paused") {
            literal(
                meta,
                &mut self.start_paused,
                "a bool: `start_paused = true`",
            )
        } else if of == Entry::Test && meta.path.is_ident("allow_panics") {
            literal(
                meta,
                &mut self.allow_panics,
                "a bool: `allow_panics = true`",
            )
        } else if of == Entry::Test && meta.path.is_ident("no_actor_left") {
            literal(
                meta,
                &mut self.no_actor_left,
                "a bool: `no_actor_left = true`",
            )
        } else {
            Err(meta.error(format!("unknown option; there are {}", of.options())))
        }
    }

    fn check(&self, default: Flavor) -> syn::Result<RuntimeOptions> {
        let flavor = match self.flavor.as_ref().map(|it| (it, it.value())) {
            None => default,
            Some((_, name)) if name == "current_thread" => Flavor::CurrentThread,
            Some((_, name)) if name == "multi_thread" => Flavor::MultiThread,
            Some((at, name)) => {
                let text = format!(
                    "no such flavor as `{name}`; there are `current_thread` and `multi_thread`"
                );
                return Err(syn::Error::new(at.span(), text));
            }
        };

        let mut worker_threads = None;
        if let Some(number) = &self.worker_threads {
            let count: usize = number.base10_parse()?;
            let text = match flavor {
                Flavor::CurrentThread => "`worker_threads` needs `flavor = \"multi_thread\"`",
                Flavor::MultiThread if count == 0 => "`worker_threads` must be at least 1",
                Flavor::MultiThread => "",
            };
            if !text.is_empty() {
                return Err(syn::Error::new(number.span(), text));
            }
            worker_threads = Some(count);
        }

        let where_true =
            |option: &Option<LitBool>| option.as_ref().filter(|it| it.value).map(LitBool::span);
        let start_paused = where_true(&self.start_paused);
        match start_paused.filter(|_| flavor == Flavor::MultiThread) {
            Some(at) => Err(syn::Error::new(
                at,
                "`start_paused` needs `flavor = \"current_thread\"`",
            )),
            None => Ok(RuntimeOptions {
                flavor,
                worker_threads,
                start_paused,
                allow_panics: where_true(&self.allow_panics),
                no_actor_left: where_true(&self.no_actor_left),
            }),
        }
    }
}

fn literal<T: Parse>(
    meta: &ParseNestedMeta<'_>,
    place: &mut Option<T>,
    expected: &str,
) -> syn::Result<()> {
    if place.is_some() {
        return Err(meta.error("this option is there twice"));
    }
    let Ok(value) = meta.value() else {
        return Err(meta.error(format!("this option needs {expected}")));
    };
    // `T` from the literal, not from the input, so that a literal of another kind is underlined.
    let at = value.span();
    let value = value
        .parse::<Lit>()
        .and_then(|it| syn::parse2(quote::quote!(#it)));
    *place = Some(value.map_err(|_| syn::Error::new(at, format!("this option needs {expected}")))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn read(args: TokenStream) -> (RuntimeOptions, Vec<String>) {
        let mut faults = Faults::default();
        let options = RuntimeOptions::read(args, Entry::Test, &mut faults);
        (options, faults.texts())
    }

    #[test]
    fn options_are_read() {
        for (args, flavor, worker_threads, start_paused) in [
            (quote!(), Flavor::CurrentThread, None, false),
            (
                quote!(start_paused = true),
                Flavor::CurrentThread,
                None,
                true,
            ),
            (
                quote!(
                    flavor = "multi_thread",
                    worker_threads = 3,
                    start_paused = false
                ),
                Flavor::MultiThread,
                Some(3),
                false,
            ),
        ] {
            let (options, faults) = read(args);
            assert!(faults.is_empty(), "{faults:?}");
            assert_eq!(options.flavor, flavor);
            assert_eq!(options.worker_threads, worker_threads);
            assert_eq!(options.start_paused.is_some(), start_paused);
        }
    }

    #[test]
    fn each_mistake_is_named_once() {
        for (args, text) in [
            (quote!(flavour = "x"), "unknown option"),
            (quote!(flavor = "x"), "no such flavor as `x`"),
            (quote!(flavor = 1), "this option needs a string"),
            (quote!(flavor), "this option needs a string"),
            (quote!(worker_threads = "1"), "this option needs a number"),
            (quote!(start_paused = 1), "this option needs a bool"),
            (quote!(allow_panics = 1), "this option needs a bool"),
            (quote!(no_actor_left), "this option needs a bool"),
            (
                quote!(start_paused = true, start_paused = true),
                "this option is there twice",
            ),
            (quote!(worker_threads = 1), "`worker_threads` needs"),
            (
                quote!(flavor = "multi_thread", worker_threads = 0),
                "`worker_threads` must be",
            ),
            (
                quote!(flavor = "multi_thread", start_paused = true),
                "`start_paused` needs",
            ),
        ] {
            let (options, faults) = read(args);
            assert_eq!(options.flavor, Flavor::CurrentThread);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].starts_with(text), "{faults:?}");
        }
    }
}
