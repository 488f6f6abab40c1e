//! `#[reply(Type)]` of `#[derive(Message)]`.

use syn::{Attribute, Meta, Type, parse_quote};

use crate::faults::Faults;
use crate::owned::{Reason, make_owned};

/// The type of the reply: `()` when the attribute is absent or wrong.
pub(crate) fn reply(attrs: &[Attribute], faults: &mut Faults) -> Type {
    let mut reply = None;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("reply")) {
        if reply.is_some() {
            faults.at(attr, "a message has one reply; remove this `#[reply]`");
            continue;
        }
        reply = Some(one(attr, faults).unwrap_or_else(|| parse_quote!(())));
    }
    reply.unwrap_or_else(|| parse_quote!(()))
}

fn one(attr: &Attribute, faults: &mut Faults) -> Option<Type> {
    let list = match &attr.meta {
        Meta::List(list) if !list.tokens.is_empty() => list,
        _ => {
            faults.at(attr, "write the type of the reply: `#[reply(Type)]`");
            return None;
        }
    };
    let Ok(mut ty) = list.parse_args() else {
        faults.at(
            &list.tokens,
            "this is not a type; write `#[reply(Type)]`, for several values `#[reply((A, B))]`",
        );
        return None;
    };
    if let Some(unfit) = make_owned(&mut ty) {
        let text = match unfit.reason {
            Reason::Borrows(instead) => {
                format!("a reply outlives the handler that gave it, so it cannot borrow; {instead}")
            }
            Reason::Unnamed => "an `impl Trait` is no type that a reply can have; name it".into(),
        };
        faults.at(unfit.tokens, text);
    }
    Some(ty)
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    fn read(attrs: &[Attribute]) -> (String, Vec<String>) {
        let mut faults = Faults::default();
        let ty = reply(attrs, &mut faults);
        (ty.to_token_stream().to_string(), faults.texts())
    }

    #[test]
    fn no_attribute_means_no_value() {
        assert_eq!(read(&[]), ("()".into(), vec![]));
    }

    #[test]
    fn the_type_is_taken_as_written() {
        let (ty, faults) = read(&[parse_quote!(#[reply(Vec<u8>)])]);
        assert_eq!((ty.as_str(), faults), ("Vec < u8 >", vec![]));
    }

    #[test]
    fn each_mistake_is_named_once() {
        for (attrs, text) in [
            (vec![parse_quote!(#[reply])], "write the type of the reply"),
            (
                vec![parse_quote!(#[reply()])],
                "write the type of the reply",
            ),
            (
                vec![parse_quote!(#[reply = "u8"])],
                "write the type of the reply",
            ),
            (vec![parse_quote!(#[reply(A, B)])], "this is not a type"),
            (vec![parse_quote!(#[reply(&str)])], "a reply outlives"),
            (
                vec![parse_quote!(#[reply(A)]), parse_quote!(#[reply(B)])],
                "a message has one reply",
            ),
        ] {
            let (_, faults) = read(&attrs);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].starts_with(text), "{faults:?}");
        }
    }
}
