package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// letterFilters are the flags that choose dead letters, by their names in the API.
var letterFilters = [][2]string{
	{"group", "only of this consumer group"}, {"topic", "only of this topic"}, {"user", "only of this user"}, {"key", "only with this key"},
	{"type", "only of this type"}, {"reason-has", "only with this in the reason"},
	{"from", "only failed at this time or later, for example 2026-11-11T20:00:00Z"}, {"to", "only failed before this time"},
}

// chooseLetters adds the flags of a filter; what it returns reads those that were given.
func chooseLetters(c *cobra.Command) func() map[string]string {
	values := make([]string, len(letterFilters))
	for i, f := range letterFilters {
		c.Flags().StringVar(&values[i], f[0], "", f[1])
	}
	return func() map[string]string {
		given := map[string]string{}
		for i, v := range values {
			if v != "" {
				given[strings.TrimSuffix(letterFilters[i][0], "-has")] = v
			}
		}
		return given
	}
}

func addTo(q url.Values, given map[string]string) {
	for k, v := range given {
		q.Set(k, v)
	}
}

// manyView is the answer to one batch.
type manyView struct {
	Settled                 int
	Skipped                 []struct{ ID, Why string }
	At, Upto, Next, Stopped string
}

// manyLetters settles letters by filter, batch after batch, until none is left or the command is interrupted. It tells where it
// is after each, so that an interrupted run can go on with --cursor.
func manyLetters(name, short string, paced bool) act {
	var filter func() map[string]string
	var cursor string
	var all bool
	var rate float64
	return act{
		use: name, short: short,
		reason: needed,
		flags: func(c *cobra.Command) {
			filter = chooseLetters(c)
			c.Flags().BoolVar(&all, "all", false, "all of them, when there is no filter")
			c.Flags().StringVar(&cursor, "cursor", "", "go on where an interrupted run was")
			if paced {
				c.Flags().Float64Var(&rate, "rate", 0, "replays per second; 0 is what the server allows")
			}
		},
		run: func(ctx context.Context, o *operator, _ []string) error {
			given := filter()
			if len(given) == 0 && !all {
				return usage("for example --topic stock --reason-has 'no such order'", "choose letters by a filter, or say --all")
			}
			if rate < 0 {
				return usage("for example --rate 10", "--rate is %v; it is how many replays a second, above 0", rate)
			}
			body := map[string]any{"reason": o.reason, "all": all, "filter": given}
			if rate > 0 {
				body["rate"] = rate
			}
			return runMany(ctx, o, lettersPath+"/"+strings.TrimSuffix(name, "-all"), body, cursor)
		},
	}
}

func runMany(ctx context.Context, o *operator, path string, body map[string]any, cursor string) error {
	settled, skipped := 0, 0
	for {
		if cursor != "" {
			body["cursor"] = cursor
		}
		raw, _, err := o.do(ctx, call{method: http.MethodPost, path: path, body: body})
		if err != nil {
			if cursor != "" {
				fmt.Fprintf(o.e.err, "to go on: --cursor %s\n", printable(cursor))
			}
			return err
		}
		var v manyView
		if err := json.Unmarshal(raw, &v); err != nil {
			return failed("is the server of the same release?", "the answer cannot be read: %w", err)
		}
		settled, skipped, cursor = settled+v.Settled, skipped+len(v.Skipped), v.Next
		for _, s := range v.Skipped {
			fmt.Fprintf(o.e.err, "letter %s stays: %s\n", printable(s.ID), printable(s.Why))
		}
		fmt.Fprintf(o.e.err, "%d settled, %d skipped, at letter %s of %s\n", settled, skipped, printable(v.At), printable(v.Upto))
		switch {
		case v.Stopped != "":
			return failed("go on later with --cursor "+printable(cursor), "the run stopped: %s", printable(v.Stopped))
		case cursor == "" && o.json:
			return writeRaw(o.e.out, fmt.Appendf(nil, `{"settled":%d,"skipped":%d}`, settled, skipped))
		case cursor == "":
			return table(o.e.out, [][]string{{"SETTLED", "SKIPPED"}, {fmt.Sprint(settled), fmt.Sprint(skipped)}})
		}
	}
}

// editedView is the answer to an edit.
type editedView struct {
	MessageID string
	Letter    letterView
}

// editLetter sends a new message in place of a dead one.
func editLetter() act {
	var payload, kind, version string
	return act{
		use: "edit LETTER", short: "send a new message in place of a dead one", args: []string{"LETTER"},
		reason: needed,
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&payload, "payload", "", "the new payload as JSON, @FILE to read a file, - for standard input")
			c.Flags().StringVar(&kind, "type", "", "instead of the message's type")
			c.Flags().StringVar(&version, "version", "", "instead of the message's version")
		},
		run: func(ctx context.Context, o *operator, given []string) error {
			text, err := readPayload(o.e.in, payload)
			if err != nil {
				return err
			}
			body := map[string]any{"payload": text, "reason": o.reason}
			if kind != "" {
				body["type"] = kind
			}
			if version != "" {
				body["version"] = version
			}
			return show(ctx, o, call{method: http.MethodPost, path: letterPath(given[0]) + "/edit", body: body}, func(v editedView) [][]string {
				return append(oneLetter(v.Letter), []string{"new message", v.MessageID})
			})
		},
	}
}

const payloadExample = `for example --payload '{"order":"123"}' or --payload @mended.json`

func readPayload(in io.Reader, given string) (json.RawMessage, error) {
	if given == "" {
		return nil, usage(payloadExample, "--payload is missing")
	}
	text := []byte(given)
	var err error
	switch name, file := strings.CutPrefix(given, "@"); {
	case given == "-":
		text, err = io.ReadAll(in)
	case file:
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, usage("name a file that can be read", "--payload cannot be read: %w", err)
	}
	if !json.Valid(text) {
		return nil, usage(payloadExample, "--payload is no JSON")
	}
	return text, nil
}
