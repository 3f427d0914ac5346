//! Runs one input, and shows what it is. `cargo run --release -p daruma-fuzz --example replay -- engine FILE`

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("which target, and which file?".into());
    };
    let target = daruma_fuzz::target(&name).ok_or("no such target")?;
    let bytes = std::fs::read(file)?;
    println!("{} bytes", bytes.len());
    if name == "engine" {
        daruma_fuzz::engine::run_told(&bytes, |line| println!("{}", line()));
    } else {
        (target.run)(&bytes);
    }
    println!("no property is broken");
    Ok(())
}
