"""The pages: server-rendered, useful without JavaScript, under a strict content security policy."""
