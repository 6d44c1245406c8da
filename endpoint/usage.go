package endpoint

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// maxUses bounds the entries of one report; the Governor refuses more as well, but they are not read.
const maxUses = 1000

// serveUsage counts what a resource reports of the use of tokens.
func (h *Handler) serveUsage(c *call) error {
	by, err := h.authenticateHeader(c)
	if err != nil {
		return err
	}
	var uses []tokenboundary.Use
	members, wrong := exchange.ReadObject(c.r)
	if wrong == nil {
		uses, wrong = readUses(members)
	}
	if wrong != nil {
		uses = nil
	}
	receipt, err := h.g.ReportUsage(c.r.Context(), by, uses)
	if wrong != nil || err != nil {
		return malformed(wrong, err)
	}
	return c.json(http.StatusAccepted, receipt)
}

// readUses reads {"uses":[{"jti","at","scopes","count"}, …]}.
func readUses(members map[string]json.RawMessage) ([]tokenboundary.Use, error) {
	var list []json.RawMessage
	if err := read(members, map[string]any{"uses": &list}); err != nil {
		return nil, err
	}
	if len(list) == 0 || len(list) > maxUses {
		return nil, bad("uses is missing, empty or too long")
	}
	out := make([]tokenboundary.Use, 0, len(list))
	for _, raw := range list {
		u, err := readUse(raw)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// readUse reads one entry. What is no id of a token is left zero, which names no token, as an unknown one does.
func readUse(raw json.RawMessage) (tokenboundary.Use, error) {
	var out tokenboundary.Use
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members == nil {
		return out, bad("uses is malformed")
	}
	var jti, at string
	err := read(members, map[string]any{"jti": &jti, "at": &at, "scopes": &out.Scopes, "count": &out.Count})
	if err != nil {
		return out, err
	}
	if jti == "" {
		return out, bad("jti is missing")
	}
	if out.At, err = time.Parse(time.RFC3339, at); err != nil {
		return out, bad("at is not a time as RFC 3339 writes it")
	}
	if members["count"] != nil && out.Count == 0 {
		return out, bad("count is malformed")
	}
	out.Token, _ = lineage.ParseID(jti)
	return out, nil
}
