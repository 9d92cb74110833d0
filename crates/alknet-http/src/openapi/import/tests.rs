use super::Source;
use super::model::*;
use super::read::read;
use std::path::Path;

#[test]
#[ignore]
fn trial() {
    let list = std::fs::read_to_string("/tmp/specs/list").unwrap();
    for path in list.lines() {
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let start = std::time::Instant::now();
        let source = Source::File(Path::new(path).to_owned());
        match read(&text, &source, &|_| true) {
            Ok(service) => {
                let remarks: usize = service.operations.iter().map(|o| o.remarks.len()).sum();
                let no_input = service.operations.iter().filter(|o| o.input.is_none()).count();
                let size: usize = service
                    .operations
                    .iter()
                    .map(|o| {
                        o.input.as_ref().map_or(0, |s| s.as_json().to_string().len())
                            + o.output.as_ref().map_or(0, |s| s.as_json().to_string().len())
                    })
                    .sum();
                println!(
                    "OK {path} {:?} ops {} left {} remarks {remarks} noinput {no_input} size {size} servers {}",
                    start.elapsed(),
                    service.operations.len(),
                    service.left_out.len(),
                    service.servers.len()
                );
                for l in &service.left_out {
                    println!("  LEFT {}: {}", l.operation, l.reason);
                }
                let mut all: Vec<String> = service
                    .operations
                    .iter()
                    .flat_map(|o| o.remarks.iter().map(move |r| format!("{}: {r}", o.name)))
                    .collect();
                all.truncate(12);
                for r in all {
                    println!("  REMARK {r}");
                }
            }
            Err(error) => println!("ERR {path} {error}"),
        }
    }
}
