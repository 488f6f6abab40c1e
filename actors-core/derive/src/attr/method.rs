//! The attributes on one method below `#[handlers]`.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Path, Token};

use crate::faults::Faults;

/// What the method's own attributes say about it.
pub(crate) struct MethodOptions {
    pub(crate) role: Role,
    /// `#[abort_on_cancel]`, if it is there.
    pub(crate) abort_on_cancel: Option<Attribute>,
    /// `#[inline_ask]`, if it is there.
    pub(crate) inline_ask: Option<Attribute>,
}

pub(crate) enum Role {
    /// A message type is made for it.
    Message(MessageOptions),
    /// It handles a message type that is there already.
    On,
    /// It is no handler.
    Skip,
}

/// `#[message(Name, derive(..))]`.
#[derive(Default)]
pub(crate) struct MessageOptions {
    pub(crate) name: Option<Ident>,
    pub(crate) derives: Vec<Path>,
}

impl MethodOptions {
    /// Reads our attributes and takes them away: the compiler does not know them.
    pub(crate) fn take(attrs: &mut Vec<Attribute>, faults: &mut Faults) -> Self {
        let (mut on, mut skip, mut abort, mut inline, mut message) = (None, None, None, None, None);
        attrs.retain(|attr| {
            let place = match attr.path().get_ident().map(Ident::to_string).as_deref() {
                Some("on") => &mut on,
                Some("skip") => &mut skip,
                Some("abort_on_cancel") => &mut abort,
                Some("inline_ask") => &mut inline,
                Some("message") => &mut message,
                _ => return true,
            };
            match place {
                Some(_) => faults.at(attr, "this attribute is there twice"),
                None => *place = Some(attr.clone()),
            }
            false
        });

        for flag in [&on, &skip, &abort, &inline].into_iter().flatten() {
            if !matches!(flag.meta, Meta::Path(_)) {
                faults.at(flag, "this attribute takes no arguments");
            }
        }
        if skip.is_some() {
            for attr in [on, abort, inline, message].into_iter().flatten() {
                faults.at(
                    attr,
                    "#[skip] leaves the method alone; remove one of the two",
                );
            }
            return Self {
                role: Role::Skip,
                abort_on_cancel: None,
                inline_ask: None,
            };
        }
        let role = match (on, message) {
            (None, None) => Role::Message(MessageOptions::default()),
            (None, Some(attr)) => Role::Message(MessageOptions::read(&attr, faults)),
            (Some(_), None) => Role::On,
            (Some(_), Some(attr)) => {
                faults.at(
                    attr,
                    "#[on] handles a type that is there; there is none to make here",
                );
                Role::On
            }
        };
        Self {
            role,
            abort_on_cancel: abort,
            inline_ask: inline,
        }
    }
}

impl MessageOptions {
    fn read(attr: &Attribute, faults: &mut Faults) -> Self {
        let mut options = Self::default();
        if !matches!(&attr.meta, Meta::List(list) if !list.tokens.is_empty()) {
            faults.at(
                attr,
                "write what the message is: `#[message(Name, derive(Trait))]`",
            );
            return options;
        }
        faults.keep(attr.parse_args_with(|input: ParseStream<'_>| {
            while !input.is_empty() {
                options.read_one(input)?;
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        }));
        options
    }

    fn read_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let Ok(word) = input.parse::<Ident>() else {
            return Err(input.error("expected a name for the message, or `derive(..)`"));
        };
        if word == "derive" {
            let list;
            syn::parenthesized!(list in input);
            let derives = Punctuated::<Path, Token![,]>::parse_terminated(&list)?;
            self.derives.extend(derives);
            return Ok(());
        }
        if !(input.is_empty() || input.peek(Token![,])) {
            return Err(syn::Error::new(
                word.span(),
                "unknown option; `#[message]` knows `Name` and `derive(..)`",
            ));
        }
        if self.name.is_some() {
            return Err(syn::Error::new(word.span(), "a message has one name"));
        }
        self.name = Some(word);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn take(mut attrs: Vec<Attribute>) -> (MethodOptions, usize, Vec<String>) {
        let mut faults = Faults::default();
        let options = MethodOptions::take(&mut attrs, &mut faults);
        (options, attrs.len(), faults.texts())
    }

    #[test]
    fn our_attributes_go_and_others_stay() {
        let (options, left, faults) = take(vec![
            parse_quote!(#[doc = "Adds."]),
            parse_quote!(#[abort_on_cancel]),
            parse_quote!(#[inline_ask]),
            parse_quote!(#[message(derive(Clone, std::fmt::Debug), Add)]),
        ]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(left, 1);
        assert!(options.abort_on_cancel.is_some());
        assert!(options.inline_ask.is_some());
        let Role::Message(message) = options.role else {
            panic!("a message is made");
        };
        assert_eq!(message.name.expect("a name"), "Add");
        assert_eq!(message.derives.len(), 2);
    }

    #[test]
    fn on_and_skip_are_roles() {
        assert!(matches!(take(vec![parse_quote!(#[on])]).0.role, Role::On));
        assert!(matches!(
            take(vec![parse_quote!(#[skip])]).0.role,
            Role::Skip
        ));
    }

    #[test]
    fn each_mistake_is_named_once() {
        for (attrs, text) in [
            (
                vec![parse_quote!(#[on(Tick)])],
                "this attribute takes no arguments",
            ),
            (
                vec![parse_quote!(#[inline_ask(true)])],
                "this attribute takes no arguments",
            ),
            (
                vec![parse_quote!(#[on]), parse_quote!(#[on])],
                "this attribute is there twice",
            ),
            (
                vec![parse_quote!(#[on]), parse_quote!(#[skip])],
                "#[skip] leaves the method alone",
            ),
            (
                vec![parse_quote!(#[on]), parse_quote!(#[message(Name)])],
                "#[on] handles a type",
            ),
            (vec![parse_quote!(#[message])], "write what the message is"),
            (vec![parse_quote!(#[message(name = A)])], "unknown option"),
            (vec![parse_quote!(#[message("A")])], "expected a name"),
            (
                vec![parse_quote!(#[message(A, B)])],
                "a message has one name",
            ),
        ] {
            let (_, left, faults) = take(attrs);
            assert_eq!((left, faults.len()), (0, 1), "{faults:?}");
            assert!(faults[0].starts_with(text), "{faults:?}");
        }
    }
}
