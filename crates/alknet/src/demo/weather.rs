//! A service that is no node: a weather forecast over HTTP, for whoever has its key.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use alknet_core::Token;
use anyhow::Context as _;
use serde_json::json;

/// It forecasts for as long as the demo runs.
pub(super) struct Weather {
    address: SocketAddr,
    /// What it wants to see.
    pub(super) key: Token,
}

impl Weather {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port for the weather service")?;
        let address = listener.local_addr()?;
        let key = Token::generate()?;
        let expected = format!("Bearer {}", key.reveal());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever goes away gets no forecast.
                let _ = answer(stream, &expected);
            }
        });
        Ok(Self { address, key })
    }

    /// How it describes itself.
    pub(super) fn description(&self) -> String {
        let city = json!({ "name": "city", "in": "query", "required": true, "schema": { "type": "string" } });
        let forecast = json!({ "type": "object", "properties": { "city": { "type": "string" }, "outlook": { "type": "string" } } });
        json!({
            "openapi": "3.1.0",
            "info": { "title": "Weather", "version": "1" },
            "servers": [{ "url": format!("http://{}", self.address) }],
            "components": { "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } } },
            "security": [{ "key": [] }],
            "paths": { "/forecast": { "get": {
                "operationId": "forecast",
                "summary": "Says what the weather will be",
                "parameters": [city],
                "responses": { "200": { "description": "The forecast", "content": { "application/json": { "schema": forecast } } } },
            } } },
        })
        .to_string()
    }
}

fn answer(stream: TcpStream, expected: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut known) = (String::new(), false);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        known |= name.eq_ignore_ascii_case("authorization") && value.trim() == expected;
    }
    let city = first.split(['=', ' ']).nth(2).unwrap_or_default();
    let (status, body) = match known {
        true => ("200 OK", json!({ "city": city, "outlook": "sunny" })),
        false => ("401 Unauthorized", json!({ "message": "who are you?" })),
    };
    let body = body.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
