//! What `wit-bindgen` makes of the contract. It is public for the sake of the export macros, and is no API of this crate.
//!
//! Every interface that both kinds of plugin export has a world of its own, because the macros that are made for an interface have one
//! name in the whole crate. What a plugin's worlds say is merged when it becomes a component.

/// The grants, and the types of the contract.
pub mod grants {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        generate_all,
    });
}

/// What every plugin exports.
pub mod plugin {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package amphora:sdk;
            world any { export amphora:plugin/plugin@0.1.0; }
        ",
        with: { "amphora:plugin/types@0.1.0": crate::bindings::grants::amphora::plugin::types },
        pub_export_macro: true,
        default_bindings_module: "amphora_sdk::bindings::plugin",
    });
}

/// What an exchange exports.
pub mod exchange {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package amphora:sdk;
            world an-exchange {
                export amphora:plugin/exchange@0.1.0;
                export amphora:plugin/exchange-packed@0.1.0;
            }
        ",
        with: { "amphora:plugin/types@0.1.0": crate::bindings::grants::amphora::plugin::types },
        pub_export_macro: true,
        default_bindings_module: "amphora_sdk::bindings::exchange",
    });
}

/// What a transform exports.
pub mod transform {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package amphora:sdk;
            world a-transform { export amphora:plugin/transform@0.1.0; }
        ",
        with: { "amphora:plugin/types@0.1.0": crate::bindings::grants::amphora::plugin::types },
        pub_export_macro: true,
        default_bindings_module: "amphora_sdk::bindings::transform",
    });
}
