package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"penstock/bus/driver"
)

// HeaderVersion says in which version of its schema a payload is written; without it the version is 1, or what the payload says
// in "v".
const HeaderVersion = "version"

// MaxPayload is the largest payload, in bytes, that a handler is shown.
const MaxPayload = 1 << 20

// Contract is what a consumer understands of a topic. What it does not understand becomes a dead letter at once, with a reason
// that says what to do: also a version newer than the consumer, because keeping it would let one forged number hold back a user
// for good. Upgrade consumers before producers; else replay by the reason afterwards. The zero value takes JSON objects of
// version 1 and of any type.
type Contract struct {
	// Versions are those understood; none means 1.
	Versions []int
	// Types are those understood; none means any.
	Types []string
	// Free lets payloads be something else than JSON objects.
	Free bool
}

// Guard keeps from a handler what the contract does not cover.
func (c Contract) Guard(h Handler) Handler {
	return func(ctx context.Context, batch []driver.Message) []error {
		var bad []error
		for i := range batch {
			if err := c.Check(&batch[i]); err != nil {
				if bad == nil {
					bad = make([]error, len(batch))
				}
				bad[i] = fmt.Errorf("%w: %w", ErrPoison, err)
			}
		}
		if bad == nil {
			return h(ctx, batch)
		}
		return without(ctx, h, batch, bad)
	}
}

// Check says what about a message the contract does not cover, for a person to read; nil if it covers all.
func (c Contract) Check(m *driver.Message) error {
	if len(c.Types) > 0 && !slices.Contains(c.Types, m.Type) {
		return fmt.Errorf("its type is %s, none of %s", strconv.Quote(m.Type), strings.Join(c.Types, ", "))
	}
	header, err := versionOf("its header "+HeaderVersion, m.Headers[HeaderVersion])
	if err != nil {
		return err
	}
	inside := 0
	if !c.Free {
		if inside, err = object(m.Payload); err != nil {
			return err
		}
	}
	if header != 0 && inside != 0 && header != inside {
		return fmt.Errorf("its header says version %d and its payload says v = %d", header, inside)
	}
	return c.understands(max(header, inside, 1))
}

func (c Contract) understands(version int) error {
	known := c.Versions
	if len(known) == 0 {
		known = []int{1}
	}
	switch newest := slices.Max(known); {
	case slices.Contains(known, version):
		return nil
	case version > newest:
		return fmt.Errorf("its schema version %d is newer than this consumer, which understands %s: upgrade the consumer, then replay",
			version, numbers(known))
	}
	return fmt.Errorf("its schema version %d is not understood by this consumer, only %s: edit it into one of these", version, numbers(known))
}

func numbers(all []int) string {
	text := make([]string, len(all))
	for i, n := range all {
		text[i] = strconv.Itoa(n)
	}
	return strings.Join(text, ", ")
}

// versionOf reads a version; 0 when there is none.
func versionOf(where, s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is %.40q, not a whole number from 1 on", where, s)
	}
	return n, nil
}

// object checks that a payload is a JSON object and returns its "v", 0 when it has none.
func object(payload []byte) (version int, err error) {
	if len(payload) == 0 {
		return 0, errors.New("its payload is empty; a JSON object is wanted")
	}
	var seen struct {
		V json.RawMessage `json:"v"`
	}
	err = json.Unmarshal(payload, &seen)
	if syntax, bad := errors.AsType[*json.SyntaxError](err); bad {
		return 0, fmt.Errorf("its payload is no JSON: %w at byte %d", syntax, syntax.Offset)
	}
	if other, bad := errors.AsType[*json.UnmarshalTypeError](err); bad {
		return 0, fmt.Errorf("its payload is a JSON %s; an object is wanted", other.Value)
	}
	if err != nil || string(payload) == "null" {
		return 0, errors.New("its payload is no JSON object")
	}
	return versionOf("v in its payload", string(seen.V))
}
