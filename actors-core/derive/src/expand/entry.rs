//! `#[main]` and `#[test]`: an async function below a runtime of its own.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{AttrStyle, Attribute, Item, ItemFn, Visibility};

use crate::attr::{Entry, Flavor, RuntimeOptions};
use crate::faults::Faults;

pub(crate) fn main(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let options = RuntimeOptions::read(args, Entry::Main, &mut faults);
    let Some(function) = read(item, "#[main]", &mut faults) else {
        return quote!(#item #faults);
    };
    expand(function, &options, None, faults)
}

pub(crate) fn test(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let options = RuntimeOptions::read(args, Entry::Test, &mut faults);
    let Some(mut function) = read(item, "#[test]", &mut faults) else {
        return quote!(#item #faults);
    };
    function.attrs.retain(|attr| {
        let is_test = attr
            .path()
            .segments
            .last()
            .is_some_and(|it| it.ident == "test");
        if is_test {
            faults.at(
                attr,
                "the function is a test already; remove this attribute",
            );
        }
        !is_test
    });
    let test = quote!(#[::core::prelude::v1::test]);
    expand(function, &options, Some(&test), faults)
}

/// The function below the attribute.
fn read(item: &TokenStream, attribute: &str, faults: &mut Faults) -> Option<ItemFn> {
    match faults.keep(syn::parse2(item.clone()))? {
        Item::Fn(function) => Some(function),
        _ => {
            faults.at_span(
                Span::call_site(),
                format!("{attribute} belongs on an `async` function"),
            );
            None
        }
    }
}

/// Puts the user's function, as written, inside one that runs it.
///
/// The function stays a function, so a body of another type than the signature promises is an
/// error at the user's own line. In an `async` block it would be one at the call of `block_on`.
fn expand(
    mut function: ItemFn,
    options: &RuntimeOptions,
    test: Option<&TokenStream>,
    mut faults: Faults,
) -> TokenStream {
    let is_async = function.sig.asyncness.is_some();
    if !is_async {
        faults.at(
            function.sig.fn_token,
            "the function must be `async`: write `async fn`",
        );
    }
    check_signature(&function, &mut faults);
    let is_sound = faults.is_empty();

    let (attrs, inner): (_, Vec<Attribute>) = function
        .attrs
        .into_iter()
        .partition(|attr| matches!(attr.style, AttrStyle::Outer));
    function.attrs = inner;
    let vis = std::mem::replace(&mut function.vis, Visibility::Inherited);
    let (name, output) = (&function.sig.ident, &function.sig.output);
    let run = if is_sound {
        launch(options, test.is_some(), &quote!(#name()))
    } else {
        quote!(::core::unreachable!())
    };
    quote! {
        #faults
        #(#attrs)*
        #test
        #vis fn #name() #output {
            #[allow(dead_code, clippy::unused_async)]
            #function
            #run
        }
    }
}

fn check_signature(function: &ItemFn, faults: &mut Faults) {
    let sig = &function.sig;
    if let Some(first) = sig.inputs.first() {
        faults.at(
            first,
            "nothing calls this function with arguments; remove the parameters",
        );
    }
    if let Some(first) = sig.generics.params.first() {
        faults.at(
            first,
            "nothing says what this parameter stands for; remove it",
        );
    }
    if let Some(unsafety) = &sig.unsafety {
        faults.at(
            unsafety,
            "nothing promises what an `unsafe` function asks for; remove `unsafe`",
        );
    }
}

fn launch(options: &RuntimeOptions, is_test: bool, future: &TokenStream) -> TokenStream {
    let flavor = match options.flavor {
        Flavor::CurrentThread => quote!(CurrentThread),
        Flavor::MultiThread => quote!(MultiThread),
    };
    let workers = options.worker_threads.map_or_else(
        || quote!(::core::option::Option::None),
        |count| quote!(::core::option::Option::Some(#count)),
    );
    let test = is_test.then(|| quote!(.test()));
    // What needs the feature `test-kit` is missed where the user has asked for it.
    let set = |at: Option<Span>, name: &str| {
        at.map(|at| {
            let name = Ident::new(name, Span::mixed_site().located_at(at));
            quote!(.#name())
        })
    };
    let paused = set(options.start_paused, "paused");
    let allow_panics = set(options.allow_panics, "allow_panics");
    let no_actor_left = set(options.no_actor_left, "no_actor_left");
    quote! {
        ::actors_core::__private::Launch::new(
            ::actors_core::__private::Flavor::#flavor,
            #workers,
        )
        #test
        #paused
        #allow_panics
        #no_actor_left
        .block_on(#future)
    }
}
