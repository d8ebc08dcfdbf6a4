// What scripts of the book's pages find there, made by others.

/** The site's static folder, with a slash at its end: book/assets/explorers.js says it. */
declare var relvizAssets: string | undefined;

/** Sphinx's settings. */
declare const DOCUMENTATION_OPTIONS: { SHOW_SEARCH_SUMMARY: boolean };

/** Sphinx's search, on the page that has one. */
declare const Search: { htmlToText: (page: string, anchor?: string) => string } | undefined;


/** Where each term of the glossary is introduced, page and section: tools/terms.py puts it before the scorer. */
declare const INTRODUCED: Record<string, [page: string, section: string]>;
