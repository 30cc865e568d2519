//! What a trace does not show.

/// Masks the parts of a message that are secret: digest responses and keys in descriptions.
pub(crate) fn masked(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for line in message.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        let is_digest = ["authorization:", "proxy-authorization:"]
            .iter()
            .any(|name| lower.starts_with(name));
        if is_digest {
            out.push_str(&mask_parameter(line, "response="));
        } else if lower.starts_with("a=crypto:") || lower.starts_with("a=ice-pwd:") {
            let keep = line.find(':').map_or(line.len(), |colon| colon + 1);
            out.push_str(&line[..keep]);
            out.push_str("***");
            out.push_str(&line[line.trim_end().len()..]);
        } else {
            out.push_str(line);
        }
    }
    out
}

fn mask_parameter(line: &str, name: &str) -> String {
    let Some(start) = line
        .to_ascii_lowercase()
        .find(name)
        .map(|at| at + name.len())
    else {
        return line.to_owned();
    };
    let value = &line[start..];
    let length = match value.strip_prefix('"') {
        Some(quoted) => quoted.find('"').map_or(value.len(), |end| end + 2),
        None => value.find([',', '\r', '\n']).unwrap_or(value.len()),
    };
    format!("{}***{}", &line[..start], &value[length..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        let message = "INVITE sip:a SIP/2.0\r\nAuthorization: Digest username=\"a\", response=\"6629\", nc=1\r\n\
                       \r\na=crypto:1 AES inline:abc\r\na=ptime:20\r\n";
        let masked = masked(message);
        assert!(!masked.contains("6629") && !masked.contains("inline"));
        assert!(masked.contains("username=\"a\", response=***, nc=1\r\n"));
        assert!(masked.contains("a=crypto:***\r\na=ptime:20\r\n"));
    }
}
