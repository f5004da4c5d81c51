//go:build linux

package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
)

// wish is the short form of an attempt's body.
type wish struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// promise is the answer to a winner; refusal is the answer to a loser. They encode to the bytes that the server sends, but
// for the values.
type promise struct {
	State     string `json:"state"`
	Attempt   string `json:"attempt"`
	Order     string `json:"order"`
	Items     []line `json:"items"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	PayBefore string `json:"payBefore"`
}

type line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	Price    int64  `json:"price"`
}

type refusal struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
	Request  string `json:"requestId"`
}

// echo is the bare peer: read, decode, encode, write. It looks at no header and keeps nothing.
func echo() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /win", func(w http.ResponseWriter, r *http.Request) {
		var b wish
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, http.StatusCreated, promise{
			State: "won", Attempt: "3716482911403294721", Order: "3716482911403294721", Items: []line{{b.SKU, b.Quantity, 19900}},
			Amount: 19900 * b.Quantity, Currency: "EUR", PayBefore: "2030-01-01T00:00:00.000Z",
		})
	})
	mux.HandleFunc("POST /refuse", func(w http.ResponseWriter, r *http.Request) {
		var b wish
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, http.StatusConflict, refusal{
			Type: "/problems/sold-out", Title: "Sold out", Status: 409, Detail: b.SKU + " is sold out",
			Instance: "/v1/sales/bench-out/attempts", Request: "01890a5d-ac96-774b-bcce-b302099a8057",
		})
	})
	return mux
}

// serveEcho serves the bare peer and prints its address.
func serveEcho(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString(l.Addr().String() + "\n"); err != nil {
		return err
	}
	return http.Serve(l, echo())
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
