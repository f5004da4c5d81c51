package oidc

import (
	"encoding/json"
	"net/http"
)

// reply writes an object; it always has a JSON form.
func reply(w http.ResponseWriter, status int, v map[string]any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
