import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [
    {
      // The bundler inlines pictures; a test needs only some text in their place.
      name: 'svg-as-text',
      enforce: 'pre',
      load(id) {
        return id.endsWith('.svg') ? 'export default "<svg/>"' : undefined;
      }
    }
  ],
  test: {
    environment: 'jsdom',
    include: ['tests/**/*.test.{ts,tsx}'],
    setupFiles: ['tests/setup.ts'],
    server: {
      deps: { inline: [/@jupyterlab\//, /@jupyter-widgets\//, /@jupyter\//, /@lumino\//] }
    }
  }
});
