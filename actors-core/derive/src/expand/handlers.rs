//! `#[handlers]`: the block as it was, and a message, a handler and an API method for each method.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{ImplItem, Item, ItemImpl};

use super::api::api;
use super::block::Block;
use super::handler::handler;
use super::method::Method;
use super::payload::Payload;
use crate::attr::{ApiTrait, HandlersOptions, MethodOptions};
use crate::faults::Faults;

pub(crate) fn handlers(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let options = HandlersOptions::read(args, &mut faults);
    match faults.keep(syn::parse2(item.clone())) {
        Some(Item::Impl(mut block)) => {
            let generated = generate(&mut block, options, &mut faults);
            quote!(#block #generated #faults)
        }
        Some(other) => {
            faults.at_span(
                Span::call_site(),
                "#[handlers] belongs on the `impl` block of an actor",
            );
            quote!(#other #faults)
        }
        None => quote!(#item #faults),
    }
}

/// What is made from the block, which loses our attributes on the way.
fn generate(item: &mut ItemImpl, options: HandlersOptions, faults: &mut Faults) -> TokenStream {
    let Some(block) = Block::read(item, options.threads, faults) else {
        for method in methods(item) {
            MethodOptions::take(&mut method.attrs, faults);
        }
        return TokenStream::new();
    };
    let mut read = Vec::new();
    for method in methods(item) {
        if let Some(mut method) = Method::read(method, &block.actor, faults) {
            method.cfgs.extend(block.cfgs.iter().cloned());
            read.push(method);
        }
    }

    let payloads: Vec<_> = read
        .iter()
        .map(|it| Payload::of(it, &block.generics))
        .collect();
    let messages: Vec<_> = payloads.iter().filter_map(Payload::as_new).collect();
    let mut generated = TokenStream::new();
    for message in &messages {
        message.to_tokens(&mut generated);
    }
    for (method, payload) in read.iter().zip(&payloads) {
        generated.extend(handler(method, payload, &block));
    }
    let name = match options.api {
        ApiTrait::Left => return generated,
        ApiTrait::Named(name) => name,
        ApiTrait::Default => format_ident!("{}Api", block.name, span = block.name.span()),
    };
    // Beside a fault the trait is made even if it is empty: the user's code may name it.
    if !messages.is_empty() || !faults.is_empty() {
        generated.extend(api(&name, &messages, &block));
    }
    generated
}

fn methods(block: &mut ItemImpl) -> impl Iterator<Item = &mut syn::ImplItemFn> {
    block.items.iter_mut().filter_map(|item| match item {
        ImplItem::Fn(method) => Some(method),
        _ => None,
    })
}
