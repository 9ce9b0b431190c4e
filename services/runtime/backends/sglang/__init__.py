"""SGLang as the engine, and the plugin inside its scheduler. All knowledge of SGLang's private names is here."""
