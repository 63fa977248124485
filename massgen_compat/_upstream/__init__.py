"""Model providers: the wire of the turns, pure, and the OpenAI SDK that carries it."""
