package upstream

import (
	"net/http"
	"net/url"
	"strings"
)

// plainPath reports a path that everybody reads alike: no empty and no dot segment, nothing encoded that would part or end one,
// no backslash and no control character.
func plainPath(u *url.URL) bool {
	if !strings.HasPrefix(u.Path, "/") || u.Path == "*" {
		return false
	}
	raw := strings.ToLower(u.EscapedPath())
	if strings.Contains(raw, "%2f") || strings.Contains(raw, "%5c") || strings.Contains(raw, ";") || strings.Contains(raw, "%3b") {
		return false
	}
	for i := range len(u.Path) {
		if c := u.Path[i]; c < 0x20 || c == 0x7f || c == '\\' {
			return false
		}
	}
	for segment := range strings.SplitSeq(u.Path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// part is a piece of a path at the upstream: fixed text, or the value of a wildcard.
type part struct {
	text, wildcard string
	rest           bool // the wildcard may have several segments
}

// rewriting reads the path of a route: "/v2/products/{id}" with the wildcards of its pattern.
func rewriting(key, path, pattern string) ([]part, error) {
	var parts []part
	for rest := path; rest != ""; {
		i := strings.IndexByte(rest, '{')
		if i < 0 {
			parts = append(parts, part{text: rest})
			break
		}
		end := strings.IndexByte(rest, '}')
		if end < i {
			return nil, bad(key, "path: /v2/products/{id}", "has a { without }")
		}
		name := strings.TrimSuffix(rest[i+1:end], "...")
		one, several := strings.Contains(pattern, "{"+name+"}"), strings.Contains(pattern, "{"+name+"...}")
		if !one && !several {
			return nil, bad(key, "path: /v2/products/{id}", "has {%s}, which match has not", name)
		}
		parts = append(parts, part{text: rest[:i]}, part{wildcard: name, rest: several})
		rest = rest[end+1:]
	}
	if path != "" && (!strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?# \\%")) {
		return nil, bad(key, "path: /v2/products/{id}", "must begin with / and have neither query nor escapes")
	}
	return parts, nil
}

// rewrite puts the path at the upstream into u.
func rewrite(u *url.URL, parts []part, r *http.Request) {
	if len(parts) == 0 {
		return
	}
	var plain, raw strings.Builder
	for _, p := range parts {
		if p.wildcard == "" {
			plain.WriteString(p.text)
			raw.WriteString(p.text)
			continue
		}
		value := r.PathValue(p.wildcard)
		plain.WriteString(value)
		if !p.rest {
			raw.WriteString(url.PathEscape(value))
			continue
		}
		for i, segment := range strings.Split(value, "/") {
			if i > 0 {
				raw.WriteByte('/')
			}
			raw.WriteString(url.PathEscape(segment))
		}
	}
	u.Path, u.RawPath = plain.String(), raw.String()
}
