package endpoint

// Route is one method at one path, below the issuer's.
type Route struct{ Method, Pattern string }

// Routes returns all that h serves.
func Routes(h *Handler) []Route {
	var out []Route
	for _, r := range h.routes {
		out = append(out, Route{r.method, r.pattern})
	}
	return out
}
