package main

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

const lettersPath = "/admin/v1/dead-letters"

// letterView is what of a dead letter a shell shows.
type letterView struct {
	ID, Group, Topic, Offset, Type, User, Key, Reason, State, Note string
	Partition, Attempts, Replays                                   int
	FailedAt                                                       time.Time
	Payload                                                        json.RawMessage
}

func letterRows(all []letterView) [][]string {
	rows := [][]string{{"LETTER", "STATE", "GROUP", "TYPE", "USER", "KEY", "TRIES", "FAILED", "REASON"}}
	for _, l := range all {
		rows = append(rows, []string{l.ID, l.State, l.Group, l.Type, l.User, l.Key, strconv.Itoa(l.Attempts), l.FailedAt.Format(time.RFC3339), l.Reason})
	}
	return rows
}

// oneLetter is a dead letter with its origin and payload.
func oneLetter(l letterView) [][]string {
	return append(letterRows([]letterView{l}), nil,
		[]string{"from", l.Topic + " partition " + strconv.Itoa(l.Partition) + " offset " + l.Offset},
		[]string{"replayed", strconv.Itoa(l.Replays) + " times"}, []string{"note", l.Note}, []string{"payload", string(l.Payload)})
}

func newDLQ(e *env) *cobra.Command {
	plain := func(name, short string) *cobra.Command {
		return verb(name, "LETTER", short, below(letterPath, name), oneLetter).command(e)
	}
	return group("dlq", "dead letters: list, show, replay, discard, edit", listLetters().command(e),
		look("LETTER", "look at a dead letter, its origin and payload", letterPath, oneLetter).command(e),
		plain("replay", "send a dead letter round again"), plain("discard", "give a dead letter up"),
		manyLetters("replay-all", "send many dead letters round again, by filter or all", true).command(e),
		manyLetters("discard-all", "give many dead letters up, by filter or all", false).command(e), editLetter().command(e))
}

func letterPath(id string) string { return lettersPath + "/" + url.PathEscape(id) }

func listLetters() act {
	var all bool
	var query func() url.Values
	var filter func() map[string]string
	return act{
		use: "list", short: "list dead letters, oldest first",
		flags: func(c *cobra.Command) {
			query, filter = pages(c), chooseLetters(c)
			c.Flags().BoolVar(&all, "all", false, "also those replayed and discarded")
		},
		run: func(ctx context.Context, o *operator, _ []string) error {
			q := query()
			q.Set("all", strconv.FormatBool(all))
			addTo(q, filter())
			return list(ctx, o, call{path: lettersPath, query: q}, letterRows)
		},
	}
}
