use super::*;
use alknet_call::ErrorCode;
use proptest::prelude::*;

fn parse(json: &str) -> Result<Header, HeaderError> {
    Header::parse(json.as_bytes())
}

#[test]
fn a_header_names_one_terminal() {
    let attach = parse(r#"{"id":"t-1","from":7,"later":{}}"#).unwrap();
    assert_eq!(attach, Header { from: Some(7), ..Header::of(Target::Attach("t-1".into())) });
    let spawn = parse(r#"{"spawn":{"args":["-c"],"rows":5},"scrollback":false,"id":null}"#).unwrap();
    let input = SpawnInput { args: Some(vec!["-c".into()]), rows: Some(5), ..SpawnInput::default() };
    assert_eq!(spawn, Header { scrollback: false, ..Header::of(Target::Spawn(input)) });
    for neither in ["{}", r#"{"id":"t-1","spawn":{}}"#, r#"{"id":null}"#] {
        assert_eq!(parse(neither), Err(HeaderError::Target));
    }
}

#[test]
fn what_is_no_header_says_where() {
    for (json, place) in [
        ("", "EOF"),
        ("[]", "expected an object"),
        (r#"["t",null,null,null,null,null,null]"#, "expected an object"),
        (r#"{"spawn":[]}"#, "expected an object"),
        (r#"{"id":7}"#, "expected a string"),
        (r#"{"id":"t","rows":70000}"#, "70000"),
        (r#"{"id":"t","id":"t"}"#, "duplicate field"),
        (r#"{"id":"t"} x"#, "trailing"),
    ] {
        let error = parse(json).unwrap_err().to_string();
        assert!(error.starts_with("the first frame cannot be read") && error.contains(place), "{json}: {error}");
    }
    let long = parse(&format!(r#"{{"id":"t","rows":"{}"}}"#, "x".repeat(9000))).unwrap_err();
    assert!(long.to_string().len() < 300);
}

#[test]
fn a_token_does_not_show() {
    let header = parse(r#"{"id":"t","auth_token":"alk_secret"}"#).unwrap();
    assert!(!format!("{header:?}").contains("secret"));
}

#[test]
fn a_reply_reads_back() {
    let refused = Reply::Refused { error: CallError::new(ErrorCode::Forbidden, "no") };
    let attached = Attached { id: "t-1".into(), rows: 24, cols: 80, offset: 9, writable: true };
    for (reply, json) in [
        (refused, r#"{"error":{"code":"FORBIDDEN","message":"no","retryable":false}}"#),
        (Reply::Attached(attached), r#"{"id":"t-1","rows":24,"cols":80,"offset":9,"writable":true}"#),
    ] {
        let mut frame = BytesMut::from(&reply.encode().unwrap()[..]);
        let frame = decode(&mut frame).unwrap().unwrap();
        assert_eq!((Reply::parse(&frame).unwrap(), &frame[..]), (reply, json.as_bytes()));
    }
    assert!(Reply::parse(b"{}").is_err());
}

fn spawns() -> impl Strategy<Value = SpawnInput> {
    let texts = || prop::option::of(prop::collection::vec(".{0,20}", 0..4));
    let variables = prop::option::of(prop::collection::btree_map("[A-Z]{1,8}", ".{0,20}", 0..4));
    (prop::option::of(".{0,20}"), texts(), variables, any::<[Option<u16>; 2]>())
        .prop_map(|(command, args, environment, [rows, cols])| SpawnInput { command, args, environment, rows, cols })
}

fn headers() -> impl Strategy<Value = Header> {
    let target = prop_oneof![".{0,40}".prop_map(Target::Attach), spawns().prop_map(Target::Spawn)];
    let rest = (prop::option::of(".{0,40}"), any::<[Option<u16>; 2]>(), any::<Option<u64>>(), any::<bool>());
    (target, rest).prop_map(|(target, (token, [rows, cols], from, scrollback))| Header {
        target,
        auth_token: token.map(AuthToken::new),
        rows,
        cols,
        from,
        scrollback,
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_and_leaves_what_follows(header in headers(), typed: Vec<u8>) {
        let mut buffer = BytesMut::from(&header.encode().unwrap()[..]);
        buffer.extend_from_slice(&typed);
        let frame = decode(&mut buffer).unwrap().unwrap();
        prop_assert_eq!(Header::parse(&frame).unwrap(), header);
        prop_assert_eq!(&buffer[..], &typed[..]);
    }

    #[test]
    fn any_bytes_are_a_header_or_an_error(bytes: Vec<u8>) {
        let _ = (Header::parse(&bytes), Reply::parse(&bytes), decode(&mut BytesMut::from(&bytes[..])));
    }
}
