use super::*;
use proptest::prelude::*;
use serde_json::json;
use url::form_urlencoded;

fn write(style: Style, explode: bool, escape: Escape, separator: &str, value: &Value) -> Option<String> {
    Writing { name: "color", style, explode, escape }.write(value, separator)
}

/// The table of OpenAPI 3.1.1 §4.8.12.4, with the empty string, a primitive, a list and an object.
#[test]
fn every_style_is_written_as_the_table_of_openapi_has_it() {
    use Style::*;
    let values = [json!(""), json!("blue"), json!(["blue", "black", "brown"]), json!({ "R": 100, "G": 200, "B": 150 })];
    for (style, explode, separator, expected) in [
        (Matrix, false, "", [";color", ";color=blue", ";color=blue,black,brown", ";color=B,150,G,200,R,100"]),
        (Matrix, true, "", [";color", ";color=blue", ";color=blue;color=black;color=brown", ";B=150;G=200;R=100"]),
        (Label, false, "", [".", ".blue", ".blue,black,brown", ".B,150,G,200,R,100"]),
        (Label, true, "", [".", ".blue", ".blue.black.brown", ".B=150.G=200.R=100"]),
        (Simple, false, "", ["", "blue", "blue,black,brown", "B,150,G,200,R,100"]),
        (Simple, true, "", ["", "blue", "blue,black,brown", "B=150,G=200,R=100"]),
        (Form, false, "&", ["color=", "color=blue", "color=blue,black,brown", "color=B,150,G,200,R,100"]),
        (Form, true, "&", ["color=", "color=blue", "color=blue&color=black&color=brown", "B=150&G=200&R=100"]),
        (
            SpaceDelimited,
            false,
            "&",
            ["color=", "color=blue", "color=blue%20black%20brown", "color=B%20150%20G%20200%20R%20100"],
        ),
        (
            PipeDelimited,
            false,
            "&",
            ["color=", "color=blue", "color=blue%7Cblack%7Cbrown", "color=B%7C150%7CG%7C200%7CR%7C100"],
        ),
        (
            DeepObject,
            true,
            "&",
            [
                "color=",
                "color=blue",
                "color%5B0%5D=blue&color%5B1%5D=black&color%5B2%5D=brown",
                "color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100",
            ],
        ),
    ] {
        for (value, expected) in values.iter().zip(expected) {
            let written = write(style, explode, Escape::Component, separator, value);
            assert_eq!(written.as_deref(), Some(expected), "{style:?} {explode} {value}");
        }
    }
}

#[test]
fn nothing_is_written_of_nothing() {
    for style in [Style::Form, Style::Simple, Style::Matrix, Style::DeepObject] {
        for value in [json!(null), json!([]), json!({}), json!([null]), json!({ "a": null })] {
            assert_eq!(write(style, true, Escape::Component, "&", &value), None, "{style:?} {value}");
        }
    }
    assert_eq!(write(Style::Json, true, Escape::Component, "&", &json!(null)), None);
}

#[test]
fn what_lies_deeper_is_json_or_in_brackets() {
    let value = json!({ "a": [1, { "b": true }] });
    let write = |style, value: &Value| write(style, true, Escape::Component, "&", value).unwrap();
    assert_eq!(write(Style::Form, &value), "a=%5B1%2C%7B%22b%22%3Atrue%7D%5D");
    assert_eq!(write(Style::DeepObject, &value), "color%5Ba%5D%5B0%5D=1&color%5Ba%5D%5B1%5D%5Bb%5D=true");
    assert_eq!(write(Style::Json, &json!([1])), "color=%5B1%5D");
    let path = Writing { name: "color", style: Style::Json, explode: false, escape: Escape::Component };
    assert_eq!(path.write(&json!("a/b"), "").unwrap(), "%22a%2Fb%22");
}

#[test]
fn reserved_characters_stay_where_they_may() {
    let written = write(Style::Form, true, Escape::KeepReserved, "&", &json!("a/b?c=d&e#f+g%h i[]:@!$'()*,;"));
    assert_eq!(written.unwrap(), "color=a/b?c=d%26e%23f%2Bg%25h%20i%5B%5D:@!$'()*,;");
}

fn decoded(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

proptest! {
    #[test]
    fn a_query_is_read_as_it_was_meant(
        items in prop::collection::vec(any::<String>(), 1..4),
        fields in prop::collection::btree_map(any::<String>(), any::<String>(), 1..4),
        name in any::<String>(),
        escape in prop::sample::select(vec![Escape::Component, Escape::KeepReserved]),
    ) {
        let writing = |style, explode| Writing { name: &name, style, explode, escape };
        let one: Vec<_> = items.iter().map(|item| (name.clone(), item.clone())).collect();
        prop_assert_eq!(decoded(&writing(Style::Form, true).write(&json!(items), "&").unwrap()), one);
        // The key of a field may hold what ends a key, and is always escaped as the values are.
        if escape == Escape::Component {
            let some: Vec<_> = fields.clone().into_iter().collect();
            prop_assert_eq!(decoded(&writing(Style::Form, true).write(&json!(fields), "&").unwrap()), some);
        }
        let deep: Vec<_> = fields.iter().map(|(key, value)| (format!("{name}[{key}]"), value.clone())).collect();
        prop_assert_eq!(decoded(&writing(Style::DeepObject, true).write(&json!(fields), "&").unwrap()), deep);
        let json = vec![(name.clone(), json!(fields).to_string())];
        prop_assert_eq!(decoded(&writing(Style::Json, true).write(&json!(fields), "&").unwrap()), json);
    }

    #[test]
    fn a_list_with_delimiters_is_taken_apart_by_them(items in prop::collection::vec(any::<String>(), 1..4)) {
        for (style, delimiter) in
            [(Style::Form, ","), (Style::SpaceDelimited, "%20"), (Style::PipeDelimited, "%7C"), (Style::Simple, ",")]
        {
            // These two have no way to say that a delimiter is none.
            let ambiguous = style != Style::Form && style != Style::Simple;
            if ambiguous && items.iter().any(|item| item.contains([' ', '|'])) {
                continue;
            }
            let written = write(style, false, Escape::Component, "&", &json!(items)).unwrap();
            let parts = written.strip_prefix("color=").unwrap_or(&written).split(delimiter);
            let read: Vec<_> =
                parts.map(|part| percent_encoding::percent_decode_str(part).decode_utf8().unwrap()).collect();
            prop_assert_eq!(&read, &items);
        }
    }
}
