import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Who may import whom: dag knows nothing, components know records, only plugins and notebook know Lab. */
const only = (files, group, message) => ({
  files,
  rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ group, message }] }] }
});

export default tseslint.config(
  { ignores: ['lib/**', 'node_modules/**', 'src/schema.ts'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname }
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-empty-function': 'off',
      // Lumino's signals take a method and its `this` side by side.
      '@typescript-eslint/unbound-method': 'off',
      eqeqeq: ['error', 'always'],
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: 'Text goes in by textContent.' },
        { property: 'outerHTML', message: 'Text goes in by textContent.' }
      ]
    }
  },
  only(['src/dag/**'], ['@jupyter*', '@jupyter*/**', '@lumino/**', 'react', '../*'], 'dag is framework-free.'),
  only(['src/components/**'], ['@jupyterlab/notebook', '@jupyterlab/application', '../plugins/*', '../client', '../stream'], 'components take props.')
);
