//! slotkeeper command line: everything happens in [`slotkeeper::cli`].

fn main() -> std::process::ExitCode {
    slotkeeper::cli::main()
}
