//! `warren identity …`

mod delete;
mod list;
mod register;
mod relocate;
mod show;
mod usage;

pub use delete::delete;
pub use list::list;
pub use register::register;
pub use relocate::relocate;
pub use show::show;
pub use usage::usage;
