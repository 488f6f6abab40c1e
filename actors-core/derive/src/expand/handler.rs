//! The `Handler` impl that calls a method.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::spanned::Spanned;

use super::block::Block;
use super::method::{Message, Method};
use super::payload::Payload;
use super::shown_at;
use super::signature::Arg;
use crate::attr::Threads;

pub(crate) fn handler(method: &Method, payload: &Payload<'_>, block: &Block) -> TokenStream {
    let span = shown_at(method.name.span());
    let handler = match block.threads {
        Threads::Any => quote_spanned!(span=> ::actors_core::Handler),
        Threads::One => quote_spanned!(span=> ::actors_core::LocalHandler),
    };
    let generics = block.bounded_generics(&payload.params);
    let (params, _, clause) = generics.split_for_impl();
    let (actor, cfgs, message) = (&block.actor, &method.cfgs, &payload.ty);
    // Not the type that the user wrote: an error about the whole future belongs at the name.
    let reply = quote_spanned!(span=> <#message as ::actors_core::Message>::Reply);
    let body = body(method);
    // What the body does not use gets no name, or the compiler would miss its use.
    let named = |name: &str, is_used: bool| {
        Ident::new(
            if is_used && method.is_sound {
                name
            } else {
                "_"
            },
            span,
        )
    };
    let takes_ctx = method.args.iter().any(|arg| matches!(arg, Arg::Context));
    let takes_msg = method.args.iter().any(|arg| !matches!(arg, Arg::Context));
    let msg = named("msg", takes_msg);
    let inline = method
        .inline_ask
        .as_ref()
        .map(|attr| quote_spanned!(attr.span()=> const INLINE_ASK: bool = true;));
    let ctx = named("ctx", takes_ctx || method.abort_on_cancel);
    quote_spanned! {span=>
        #(#cfgs)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #params #handler<#message> for #actor #clause {
            #inline
            async fn handle(
                &mut self,
                #msg: #message,
                #ctx: &mut ::actors_core::Context<Self>,
            ) -> #reply {
                #body
            }
        }
    }
}

/// Calls the method by its path: `self.name(..)` could find a trait's method of the same name.
fn body(method: &Method) -> TokenStream {
    let name = &method.name;
    let span = shown_at(name.span());
    if !method.is_sound {
        return quote_spanned!(span=> ::core::unreachable!());
    }
    let args = method.args.iter().map(|arg| match arg {
        Arg::Context => quote_spanned!(span=> ctx),
        Arg::Message => quote_spanned!(span=> msg),
        Arg::Field(name) => quote_spanned!(span=> msg.#name),
    });
    // Where the reply of an existing message is another type, the user's return type is wrong.
    let place = match method.message {
        Message::Existing(_) => shown_at(method.reply.span()),
        Message::New(_) => span,
    };
    let call = quote_spanned!(place=> Self::#name(self, #(#args),*));
    if method.abort_on_cancel {
        let cancellation = format_ident!("cancellation", span = span);
        quote_spanned! {place=>
            let #cancellation = ::actors_core::Context::cancellation(ctx);
            #cancellation.abort(#call).await
        }
    } else if method.is_async {
        quote_spanned!(place=> #call.await)
    } else {
        call
    }
}
