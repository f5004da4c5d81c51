package hostile

import "strings"

// marker is in every hostile text that could end up in a metric label.
const marker = "zq7x"

// texts are put where a text goes: into paths, queries, headers, and members of bodies.
func texts() []string {
	return []string{
		"", " ", ".", "..", "...", "/", "\\", "0", "-1", "null", "undefined", "NaN", "true", "[]", "{}", "%", "%%", "%s%n%d", "*", "?", "#", "~", "|", "&&", ";", "`id`", "$(id)", "${jndi:ldap://127.0.0.1/a}", "{{7*7}}",
		// SQL
		"' OR '1'='1", "'; DROP TABLE attempts;--", "1 UNION SELECT NULL,NULL--", "\" OR 1=1#", "admin'/*", "x' AND SLEEP(5)-- ", "%' OR name LIKE '%", "\\'; --", "1;ATTACH DATABASE '/tmp/x' AS y",
		// Redis, SMTP, HTTP, logs
		"\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "x\r\nX-Injected: " + marker, "x\nlevel=ERROR msg=" + marker, "\n{\"level\":\"ERROR\",\"message\":\"" + marker + "\"}\n", "\x1b[2J\x1b[31m" + marker, "a\x00b",
		// CSV and pages
		"=cmd|' /C calc'!A0", "@SUM(1+1)*cmd", "+1+1", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "'-alert(1)-'",
		// paths
		"../../../../etc/passwd", "..%2f..%2fkeys.json", "%2e%2e/%2e%2e/keys.json", "....//....//x", "C:\\windows\\win.ini", "file:///etc/passwd", "http://169.254.169.254/latest/meta-data", "gopher://127.0.0.1:6379/_",
		// Unicode: look-alikes, marks, widths, directions, no UTF-8
		"ﬂash", "flаsh", "ｆｌａｓｈ", "FLASH", "flash\u200b", "\u202eflash", "e\u0301\u0301\u0301", strings.Repeat("\u0300", 500), "\ufeff", "\ufffe", "\U0001F468\u200D\U0001F469\u200D\U0001F467", "İ", "ß", "ſ", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "秒杀", "٣",
		// lengths
		strings.Repeat("a", 129), strings.Repeat("A", 4000), strings.Repeat("%41", 500), marker, strings.Repeat("🂡", 300),
		// ids
		"1", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616", "00000000001", "1e3", "0x10", "1_000", "१२३", "1 ", "+1",
	}
}

// numbers are put where a number goes, as JSON or not.
func numbers() []string {
	return []string{
		"0", "-0", "-1", "1", "2", "1.0", "1.5", "1e0", "1e3", "1E400", "-1e400", "1e-400", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
		strings.Repeat("9", 400), "0." + strings.Repeat("0", 400) + "1", "01", "+1", ".5", "1.", "0x1", "NaN", "Infinity", "1_0", "١", "true", "null", `"1"`, "[1]", "{}",
	}
}

// jsons are bodies that are wrong as a whole.
func jsons() []string {
	deep := func(open, end string, n int) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
	return []string{
		"", " ", "null", "true", "0", `""`, "[]", "{}", "{", "[", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `[1,]`, `{,}`, `{"a":1}{"b":2}`, `{"a":1} x`, "{'a':1}", "{a:1}", "// c\n{}", "{}\x00", "\xef\xbb\xbf{}", "\xff\xfe{\x00}\x00",
		`{"sku":"sku-1","sku":"sku-2","quantity":1}`, `{"sku":"sku-1","quantity":1,"quantity":9}`, `{"SKU":"sku-1","quantity":1}`, `{"sku":"sku-1","quantity":1,"user":"root","role":"operator"}`, `{"__proto__":{"x":1}}`, `{"constructor":{"prototype":{}}}`,
		`{"sku":"\ud800","quantity":1}`, `{"sku":"\u0000","quantity":1}`, `{"sku":"a\u202eb","quantity":1}`, "{\"sku\":\"\xff\",\"quantity\":1}", "{\"sku\":\"a\nb\",\"quantity\":1}", `{"sku":"\x41","quantity":1}`, `{"\u0073ku":"sku-1","quantity":1}`,
		`{"items":[]}`, `{"items":[{}]}`, `{"items":null}`, `{"items":[{"sku":"sku-1","quantity":1},{"sku":"sku-1","quantity":1}]}`, `{"items":[` + strings.Repeat(`{"sku":"sku-1","quantity":1},`, 300) + `{}]}`,
		deep("[", "]", 10_000), deep(`{"a":`, "}", 5_000), strings.Repeat("[", 30_000), `{"a":` + strings.Repeat("1", 30_000) + "}", `{"` + strings.Repeat("k", 30_000) + `":1}`, `"` + strings.Repeat(`\u0041`, 5_000) + `"`,
		"{" + strings.Repeat(`"a":1,`, 5_000) + `"b":1}`, "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>", "a=1&b=2", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n",
		`!!python/object/apply:os.system ["id"]`, "\x1f\x8b\x08\x00\x00\x00\x00\x00", "PK\x03\x04", "\x00\x00\x00\x00\x05hello", strings.Repeat(" ", 60_000), strings.Repeat("x", 70_000),
	}
}

// members are bodies that the calls take, with places for hostile values: T for a text, N for a number.
func members() []string {
	return []string{
		`{"sku":T,"quantity":N}`, `{"items":[{"sku":T,"quantity":N}]}`, `{"sku":"sku-1","quantity":N}`, `{"method":T}`, `{"method":"sandbox","outcome":T,"afterMs":N}`, `{"amount":N,"returnStock":true,"reason":T}`, `{"action":T,"reason":T}`,
		`{"sku":"sku-1","delta":N,"reason":T}`, `{"title":T}`, `{"id":T,"title":T,"startsAt":T,"endsAt":T,"items":[{"sku":T,"title":T,"price":N,"currency":T,"stock":N,"limitPerUser":N}]}`,
		`{"id":T,"title":"t","startsAt":"2030-01-01T00:00:00Z","endsAt":"2030-01-02T00:00:00Z","items":[{"sku":"a","title":T,"price":N,"currency":"CNY","stock":N,"limitPerUser":N}]}`,
		`{"url":T,"events":[T]}`, `{"url":"https://a.example/x","events":["*"],"rate":N,"description":T}`, `{"name":T,"apis":[T],"perMinute":N}`, `{"use":T,"overlapSeconds":N}`, `{"currency":T,"amount":N,"reason":T}`, `{"limit":N,"reason":T}`,
		`{"provider":T,"lines":[{"id":T,"amount":N}]}`, `{"method":T,"path":T,"token":T}`, `{"method":"GET","path":"/v1/orders","address":T}`, `{"since":T,"until":T}`, `{"all":true,"reason":T,"rate":N}`, `{"payload":T,"type":T,"reason":T}`,
		`{"transaction":T,"branch":T,"payload":T}`, `{"branches":[{"name":T,"participant":T,"payload":T}],"kind":T}`, `{"value":T,"reason":T}`, `{"name":T,"role":T}`, `{"password":T}`, `{"current":T,"new":T}`, `{"name":T,"redirects":[T]}`,
		`{"proof":T,"nonce":N}`, `{"sku":"sku-1","quantity":1,"extra":T}`, `{"version":N,"title":T}`,
	}
}

// methods are hostile methods.
func methods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "get", "Post", "G", "GET" + marker, strings.Repeat("M", 300), "!#$%&'*+-.^_`|~"}
}

// header is a name with values that are hostile for it.
type header struct {
	name   string
	values []string
}

// headers are what else a request may carry. Only those that leave the framing of the message alone are here.
func headers() []header {
	return []header{
		{"Idempotency-Key", []string{"", `""`, `"`, `"a`, "a,b", strings.Repeat("k", 256), `"` + strings.Repeat("k", 255) + `"`, "é", "a\tb", ".", "..", "../x", "%2e%2e", "k " + marker, `"k\"x"`, "'; DROP TABLE attempts;--", "\x7f"}},
		{"X-Forwarded-For", []string{"1.2.3.4", "1.2.3.4, 5.6.7.8", "::1", "[::1]:80", "999.1.1.1", strings.Repeat("1.1.1.1,", 500) + "1.1.1.1", "unknown", "_hidden", "127.0.0.1, " + marker}},
		{"Forwarded", []string{"for=1.2.3.4", `for="[::1]"`, "for=_x;by=;" + strings.Repeat(",", 100)}},
		{"X-Real-Ip", []string{"127.0.0.1", marker}},
		{"X-Original-Url", []string{"/admin/v1/sales"}},
		{"X-Http-Method-Override", []string{"DELETE"}},
		{"X-Request-Id", []string{marker, strings.Repeat("r", 129), `"}` + marker, "a b", "é"}},
		{"Traceparent", []string{"00-0-0-0", "00-00000000000000000000000000000000-0000000000000000-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", strings.Repeat("0", 500), "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"}},
		{"Tracestate", []string{strings.Repeat("a=b,", 500)}},
		{"Baggage", []string{strings.Repeat("a=b,", 500)}},
		{"Content-Type", []string{"", "text/plain", "application/xml", "application/json; charset=utf-16", "application/json;" + strings.Repeat("a=b;", 200), "application/grpc", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "APPLICATION/JSON", "application/json, text/plain", "*/*", "application/" + marker + "+json"}},
		{"Content-Encoding", []string{"gzip", "identity, gzip", "br", "deflate", "zstd", "identity", "x-" + marker}},
		{"Accept", []string{"text/html", "application/xml", "*/*;q=0", strings.Repeat("a/b,", 1000), "text/event-stream", "image/png", ""}},
		{"Accept-Encoding", []string{"gzip;q=9", "*", "identity;q=0"}},
		{"If-Match", []string{"*", `"3"`, `W/"3"`, "3", strings.Repeat(`"a",`, 500), `"` + marker}},
		{"If-None-Match", []string{"*", `W/"0"`, strings.Repeat(`"a",`, 500), `"`}},
		{"Range", []string{"bytes=0-0", "bytes=0-0," + strings.Repeat("1-1,", 500) + "2-2", "bytes=-1", "x=1"}},
		{"Cookie", []string{"penstock-session=" + marker, "penstock-session=a; penstock-session=b", "__Host-penstock-session=" + strings.Repeat("x", 3000), strings.Repeat("a=b;", 500), "=;=;=", "$Version=1"}},
		{"Origin", []string{"https://evil.example", "null", "file://"}},
		{"Sec-Fetch-Site", []string{"cross-site", "none", marker}},
		{"Upgrade", []string{"websocket", "h2c", "TLS/1.3"}},
		{"Http2-Settings", []string{"AAMAAABkAAQAAP__"}},
		{"Sec-Websocket-Key", []string{"dGhlIHNhbXBsZSBub25jZQ=="}},
		{"Webhook-Id", []string{marker, ""}},
		{"Webhook-Timestamp", []string{"0", "-1", "9223372036854775808", "1e9", "now"}},
		{"Webhook-Signature", []string{"v1,", "v1," + strings.Repeat("A", 5000), "v1a,x", strings.Repeat("v1,AAAA ", 500), marker}},
		{"Signature-Input", []string{"sig1=", `sig1=("@method");created=0;keyid="app_1";nonce="a"`, `sig1=("@method" "@path" "content-digest");created=9999999999;expires=-1;keyid="' OR 1=1";nonce="x"`, "sig1=(" + strings.Repeat(`"a" `, 500) + ")", `a=();keyid="` + marker + `"`, `sig1=("@method";req)`, "((((", `sig1=("@query-param";name="x")`}},
		{"Signature", []string{"sig1=:AAAA:", "sig1=:::", "sig1=:" + strings.Repeat("A", 5000) + ":", marker, ""}},
		{"Content-Digest", []string{"sha-256=:AAAA:", "md5=:x:", "sha-256=" + marker, strings.Repeat("sha-256=:AAAA:,", 300)}},
		{"X-Csrf-Token", []string{marker}},
		{"Last-Event-Id", []string{"-1", "99999999999999999999", marker}},
		{"Referer", []string{"https://evil.example/" + marker}},
		{"User-Agent", []string{"", "() { :;}; echo " + marker, strings.Repeat("u", 3000)}},
		{"X-" + strings.Repeat("N", 2000), []string{"1"}},
		{"X-Long", []string{strings.Repeat("v", 8000), strings.Repeat("v", 15_000)}},
		{"X-Bomb", []string{strings.Repeat("v", 40_000)}},
	}
}

// schemes are Authorization values beside good tokens; TOKEN stands for one.
func schemes() []string {
	return []string{
		"", "Bearer", "Bearer ", "bearer TOKEN", "Bearer  TOKEN", "Bearer TOKEN x", "Basic dTpw", "Digest x", "Bearer TOKEN,Bearer TOKEN", "Bearer null", "Bearer ..", "Bearer a.b.c", "Bearer " + strings.Repeat("A", 8000), "Bearer TOKENx", "Bearer xTOKEN",
		"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290Iiwicm9sZSI6Im9wZXJhdG9yIn0.", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyb290In0.AAAA", "Bearer pss1." + strings.Repeat("A", 200), "Bearer \x7f", "Token TOKEN", "BEARER TOKEN",
	}
}
