package driver

// HeaderMalformed is set by an engine, over whatever the message brought, on a message that no outbox can have written: where
// others may write too, a topic may hold anything. It says what is wrong. The bus makes such a message a dead letter without
// showing it to a handler. The engine gives it an ID made of its place, so that it cannot be taken for another message, and
// no User, so that it holds nobody back.
const HeaderMalformed = "malformed"
