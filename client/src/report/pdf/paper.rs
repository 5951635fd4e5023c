//! Pages as lists of marks, and how marks become PDF.

use krilla::Document;
use krilla::color::rgb;
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use krilla::{Data, SerializeSettings};
use strongroom_wire::encoding::Timestamp;
use ttf_parser::Face;

use super::PdfError;

/// A4, in points.
pub(super) const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
pub(super) const MARGIN: f32 = 50.0;
/// What is between the margins.
pub(super) const INSIDE: f32 = WIDTH - 2.0 * MARGIN;
/// Where the text of a page ends: the foot is below.
const BOTTOM: f32 = HEIGHT - 60.0;
/// How far lines are apart, in sizes.
const LEADING: f32 = 1.4;

static FILES: [&[u8]; 3] = [
    include_bytes!("../../../assets/fonts/DejaVuSans.ttf"),
    include_bytes!("../../../assets/fonts/DejaVuSans-Bold.ttf"),
    include_bytes!("../../../assets/fonts/DejaVuSansMono.ttf"),
];

/// A colour, in red, green and blue.
pub(super) type Colour = [u8; 3];
pub(super) const BLACK: Colour = [0x1a, 0x1a, 0x1a];
pub(super) const GREY: Colour = [0x66, 0x66, 0x66];
pub(super) const PALE: Colour = [0xd4, 0xd4, 0xd4];
/// What was done: told from what was refused by people who do not see colours, too, as it is the darker.
pub(super) const DONE: Colour = [0x1f, 0x4e, 0x89];
pub(super) const REFUSED: Colour = [0xe0, 0x7b, 0x39];

/// A typeface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Regular,
    Bold,
    Mono,
}

/// How text is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) face: Type,
    pub(super) size: f32,
    pub(super) colour: Colour,
}

pub(super) const BODY: Style = Style {
    face: Type::Regular,
    size: 9.5,
    colour: BLACK,
};
pub(super) const SMALL: Style = Style { size: 7.5, ..BODY };
pub(super) const FAINT: Style = Style {
    colour: GREY,
    ..SMALL
};
pub(super) const STRONG: Style = Style {
    face: Type::Bold,
    ..BODY
};
pub(super) const CODE: Style = Style {
    face: Type::Mono,
    size: 8.0,
    colour: BLACK,
};

enum Mark {
    Text {
        x: f32,
        y: f32,
        style: Style,
        text: String,
    },
    Box {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        colour: Colour,
        opacity: f32,
    },
}

/// Pages that are being written, from the top down.
pub(super) struct Paper {
    fonts: [(Font, Face<'static>); 3],
    pages: Vec<Vec<Mark>>,
    /// Where the next line goes, from the page's top.
    y: f32,
}

impl Paper {
    pub(super) fn new() -> Result<Self, PdfError> {
        let mut fonts = FILES.iter().map(|file| {
            let data: Data = file.to_vec().into();
            let font = Font::new(data, 0).ok_or(PdfError::Font)?;
            let face = Face::parse(file, 0).map_err(|_| PdfError::Font)?;
            Ok((font, face))
        });
        let mut next = || fonts.next().unwrap_or(Err(PdfError::Font));
        Ok(Self {
            fonts: [next()?, next()?, next()?],
            pages: vec![Vec::new()],
            y: MARGIN,
        })
    }

    /// Where the next line goes.
    pub(super) const fn y(&self) -> f32 {
        self.y
    }

    /// Leaves room.
    pub(super) fn skip(&mut self, height: f32) {
        self.y += height;
    }

    /// Goes to the next page unless so much fits on this one.
    pub(super) fn need(&mut self, height: f32) {
        if self.y + height > BOTTOM {
            self.turn();
        }
    }

    /// Goes to the next page.
    pub(super) fn turn(&mut self) {
        self.pages.push(Vec::new());
        self.y = MARGIN;
    }

    /// How wide a line of text is.
    pub(super) fn width(&self, style: Style, text: &str) -> f32 {
        text.chars().map(|c| self.advance(style, c)).sum()
    }

    /// A line of text at this place; `y` is its baseline.
    pub(super) fn text(&mut self, x: f32, y: f32, style: Style, text: &str) {
        if text.is_empty() {
            return;
        }
        self.mark(Mark::Text {
            x,
            y,
            style,
            text: text.to_owned(),
        });
    }

    /// The same, ending at `x`.
    pub(super) fn text_to(&mut self, x: f32, y: f32, style: Style, text: &str) {
        let width = self.width(style, text);
        self.text(x - width, y, style, text);
    }

    /// A filled box.
    pub(super) fn fill(&mut self, x: f32, y: f32, width: f32, height: f32, colour: Colour) {
        self.shade(x, y, width, height, colour, 1.0);
    }

    /// A filled box through which what is below shows.
    pub(super) fn shade(
        &mut self,
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        colour: Colour,
        opacity: f32,
    ) {
        self.mark(Mark::Box {
            x,
            y,
            width,
            height,
            colour,
            opacity,
        });
    }

    /// A thin line across, below what was written.
    pub(super) fn rule(&mut self) {
        let y = self.y;
        self.fill(MARGIN, y, INSIDE, 0.6, PALE);
        self.y += 6.0;
    }

    /// A heading, with room for some lines below it on the same page.
    pub(super) fn heading(&mut self, text: &str) {
        self.need(80.0);
        self.y += 14.0;
        let style = Style {
            size: 13.0,
            ..STRONG
        };
        self.line(style, text);
        self.y += 4.0;
    }

    /// A line of text between the margins.
    pub(super) fn line(&mut self, style: Style, text: &str) {
        self.column(MARGIN, style, text);
    }

    /// A paragraph between the margins.
    pub(super) fn paragraph(&mut self, style: Style, text: &str) {
        for line in self.wrap(style, text, INSIDE) {
            self.line(style, &line);
        }
        self.y += 4.0;
    }

    /// A name and what it is, which takes as many lines as it needs.
    pub(super) fn fact(&mut self, name: &str, style: Style, value: &str) {
        const NAMES: f32 = 125.0;
        let lines = self.wrap(style, value, INSIDE - NAMES);
        for (position, line) in lines.iter().enumerate() {
            self.need(style.size * LEADING);
            if position == 0 {
                let y = self.y + BODY.size;
                self.text(
                    MARGIN,
                    y,
                    Style {
                        colour: GREY,
                        ..BODY
                    },
                    name,
                );
            }
            self.column(
                MARGIN + NAMES,
                Style {
                    size: style.size,
                    ..style
                },
                line,
            );
        }
        self.y += 1.5;
    }

    fn column(&mut self, x: f32, style: Style, text: &str) {
        self.need(style.size * LEADING);
        let y = self.y + style.size;
        self.text(x, y, style, text);
        self.y += style.size * LEADING;
    }

    /// The lines of a text of this width: broken at spaces, and within words that are wider.
    pub(super) fn wrap(&self, style: Style, text: &str, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        let mut used = 0.0;
        for word in text.split_inclusive(' ') {
            let wide = self.width(style, word.trim_end());
            if used + wide > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0.0;
            }
            if wide <= width {
                line.push_str(word);
                used += self.width(style, word);
                continue;
            }
            for c in word.chars() {
                let advance = self.advance(style, c);
                if used + advance > width && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                line.push(c);
                used += advance;
            }
        }
        if !line.is_empty() || lines.is_empty() {
            lines.push(line.trim_end().to_owned());
        }
        lines
    }

    /// The beginning of a text that fits, with an ellipsis where that is not all of it.
    pub(super) fn clip(&self, style: Style, text: &str, width: f32) -> String {
        if self.width(style, text) <= width {
            return text.to_owned();
        }
        let mut used = self.width(style, "\u{2026}");
        let mut kept = String::new();
        for c in text.chars() {
            used += self.advance(style, c);
            if used > width {
                break;
            }
            kept.push(c);
        }
        kept.push('\u{2026}');
        kept
    }

    fn advance(&self, style: Style, c: char) -> f32 {
        let (_, face) = self.font(style.face);
        f32::from(face.glyph_hor_advance(glyph(face, c)).unwrap_or_default()) * style.size
            / f32::from(face.units_per_em())
    }

    fn font(&self, face: Type) -> &(Font, Face<'static>) {
        let [regular, bold, mono] = &self.fonts;
        match face {
            Type::Regular => regular,
            Type::Bold => bold,
            Type::Mono => mono,
        }
    }

    fn mark(&mut self, mark: Mark) {
        // There is a page from the beginning.
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    /// The document, PDF/A-2b, with this title, made then. `foot` stands on each page, beside its number.
    pub(super) fn finish(
        self,
        title: &str,
        foot: &str,
        made: Timestamp,
    ) -> Result<Vec<u8>, PdfError> {
        let configuration = ConfigurationBuilder::new()
            .with_archival_validator(Archival::A2_B)
            .finish()
            .map_err(|error| PdfError::Document(format!("{error:?}")))?;
        let mut document = Document::new_with(SerializeSettings {
            configuration,
            ..SerializeSettings::default()
        });
        document.set_metadata(
            Metadata::new()
                .title(title.to_owned())
                .creator("Strongroom".to_owned())
                .language("en".to_owned())
                .creation_date(date(made)),
        );
        let settings = PageSettings::from_wh(WIDTH, HEIGHT).ok_or(PdfError::Page)?;
        let pages = self.pages.len();
        for (position, marks) in self.pages.iter().enumerate() {
            let mut page = document.start_page_with(settings.clone());
            let mut surface = page.surface();
            let number = format!("page {} of {pages}", position + 1);
            let y = HEIGHT - 32.0;
            let foot = Mark::Text {
                x: MARGIN,
                y,
                style: FAINT,
                text: self.clip(FAINT, foot, INSIDE - 60.0),
            };
            let number = Mark::Text {
                x: WIDTH - MARGIN - self.width(FAINT, &number),
                y,
                style: FAINT,
                text: number,
            };
            for mark in marks.iter().chain([&foot, &number]) {
                self.draw(&mut surface, mark)?;
            }
            surface.finish();
            page.finish();
        }
        document
            .finish()
            .map_err(|error| PdfError::Document(format!("{error:?}")))
    }

    fn draw(
        &self,
        surface: &mut krilla::surface::Surface<'_>,
        mark: &Mark,
    ) -> Result<(), PdfError> {
        match mark {
            Mark::Text { x, y, style, text } => {
                let (font, face) = self.font(style.face);
                let units = f32::from(face.units_per_em());
                // What the font cannot show is shown to be there.
                let text: String = text
                    .chars()
                    .map(|c| face.glyph_index(c).map_or('\u{fffd}', |_| c))
                    .collect();
                let glyphs: Vec<KrillaGlyph> = text
                    .char_indices()
                    .map(|(at, c)| {
                        let id = glyph(face, c);
                        let advance = f32::from(face.glyph_hor_advance(id).unwrap_or_default());
                        let range = at..at + c.len_utf8();
                        let id = GlyphId::new(u32::from(id.0));
                        KrillaGlyph::new(id, advance / units, 0.0, 0.0, 0.0, range, None)
                    })
                    .collect();
                surface.set_fill(Some(fill(style.colour, 1.0)));
                surface.draw_glyphs(
                    Point::from_xy(*x, *y),
                    &glyphs,
                    font.clone(),
                    &text,
                    style.size,
                    false,
                );
            }
            Mark::Box {
                x,
                y,
                width,
                height,
                colour,
                opacity,
            } => {
                // A box without width or height is no mark.
                let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) else {
                    return Ok(());
                };
                let mut path = PathBuilder::new();
                path.push_rect(rect);
                let path = path.finish().ok_or(PdfError::Page)?;
                surface.set_fill(Some(fill(*colour, *opacity)));
                surface.draw_path(&path);
            }
        }
        Ok(())
    }
}

fn fill([red, green, blue]: Colour, opacity: f32) -> Fill {
    Fill {
        paint: rgb::Color::new(red, green, blue).into(),
        opacity: NormalizedF32::new(opacity.clamp(0.0, 1.0)).unwrap_or(NormalizedF32::ONE),
        ..Fill::default()
    }
}

/// The glyph of a character, or that of the replacement character.
fn glyph(face: &Face<'_>, c: char) -> ttf_parser::GlyphId {
    let replacement = || face.glyph_index('\u{fffd}');
    face.glyph_index(c).or_else(replacement).unwrap_or_default()
}

fn date(moment: Timestamp) -> DateTime {
    let text = moment.to_string();
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok());
    let byte = |from, to| part(from, to).and_then(|value: u16| u8::try_from(value).ok());
    DateTime::new(part(0, 4).unwrap_or(1970))
        .month(byte(5, 7).unwrap_or(1))
        .day(byte(8, 10).unwrap_or(1))
        .hour(byte(11, 13).unwrap_or_default())
        .minute(byte(14, 16).unwrap_or_default())
        .second(byte(17, 19).unwrap_or_default())
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}
